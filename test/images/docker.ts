import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRoot, run } from '../../deploy/local/host.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dockerfile = 'deploy/docker/Dockerfile';
/** An engine that is there answers at once, a registry within this time. */
const answerMs = 20_000;
const pullMs = 180_000;

/** Why no image can be built here; undefined where a Docker engine answers that can build them. */
export async function noEngine(): Promise<string | undefined> {
  const engine = await docker(['version', '--format', '{{.Server.Os}}'], answerMs);
  if (engine.code === 127) return 'there is no docker command';
  if (engine.code !== 0) return `no Docker engine answers (${firstLine(engine.stderr)})`;
  if (engine.stdout.trim() !== 'linux' || process.platform !== 'linux') return 'the Docker engine is not on Linux';
  // Asked for its help it builds nothing, but says what it lacks.
  const builder = await docker(['build', '--help'], answerMs);
  return builder.code === 0 ? undefined : `docker cannot build (${firstLine(builder.stderr)})`;
}

/**
 * The base image of the Dockerfile: as it names it where that is here or can be pulled, else one made of Debian's
 * packages and the Node that runs this. `reason` says why there is neither.
 */
export async function nodeImage(): Promise<{ image: string } | { reason: string }> {
  const named = /^ARG NODE_IMAGE=(.+)$/m.exec(await readFile(join(root, dockerfile), 'utf8'))?.[1] ?? '';
  const made = `flowstate-node-base:${process.versions.node}`;
  for (const image of [named, made]) {
    if ((await docker(['image', 'inspect', image], answerMs)).code === 0) return { image };
  }
  const pulled = await docker(['pull', '--quiet', named], pullMs);
  if (pulled.code === 0) return { image: named };
  const why = `${named} cannot be pulled (${firstLine(pulled.stderr)})`;
  const npm = await npmPackage();
  if (!isRoot() || npm === undefined) return { reason: `${why}, and a base is made by root with npm only` };
  const script = join(root, 'test/images/node-base.sh');
  const { code, stderr } = await run('sh', [script, made, process.execPath, npm]);
  return code === 0 ? { image: made } : { reason: `${why}, and none can be made (${lastLine(stderr)})` };
}

/** Builds one target of the Dockerfile and names it; throws with the builder's last lines. */
export async function buildImage(target: string, { name, base }: { name: string; base: string }): Promise<void> {
  const args = ['build', '--file', dockerfile, '--target', target, '--build-arg', `NODE_IMAGE=${base}`, '--tag', name];
  const { code, stderr } = await docker([...args, '.'], 15 * 60_000);
  if (code !== 0) throw new Error(`docker build --target ${target}:\n${stderr.split('\n').slice(-30).join('\n')}`);
}

export type ImageFile = { path: string; mode: string; size: number };

/** Every file of an image, its path from the root without a slash before it. */
export async function imageFiles(image: string): Promise<ImageFile[]> {
  const created = await docker(['create', image], answerMs);
  const id = created.stdout.trim();
  try {
    const { code, stdout, stderr } = await run('sh', ['-c', `docker export ${id} | tar -tv --numeric-owner`], {
      env: process.env,
    });
    if (code !== 0) throw new Error(stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [mode = '', , size, , , ...path] = line.split(/ +/);
        return { mode, size: Number(size), path: path.join(' ').replace(/ -> .*/, '') };
      });
  } finally {
    await docker(['rm', id], answerMs);
  }
}

type Inspected = { Size: number; Config: { User: string; Env: string[]; Healthcheck?: unknown; StopSignal: string } };

/** What the engine knows of an image. */
export async function inspectImage(image: string): Promise<Inspected> {
  const { stdout } = await docker(['image', 'inspect', image], answerMs);
  return (JSON.parse(stdout) as [Inspected])[0];
}

/** Runs a command of `docker`; code 124 when it has not ended in time. */
export async function docker(
  args: string[],
  timeoutMs: number,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await run('docker', args, { cwd: root, env: { ...process.env, DOCKER_BUILDKIT: '1' }, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    return { code: 124, stdout: '', stderr: `waited ${timeoutMs / 1000} s` };
  }
}

/** Folder of the npm that is on PATH. */
async function npmPackage(): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const npm = join(folder, 'npm');
    if (existsSync(npm)) return join(await realpath(npm), '../..');
  }
  return undefined;
}

const firstLine = (text: string) => text.trim().split('\n')[0] ?? '';
const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
