import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { docker } from '../images/docker.ts';
import { image, type Service } from '../images/targets.ts';
import { freePort } from '../../deploy/local/src/ports.ts';
import { serves, type BenchProcess } from './bench-process.ts';
import type { Cleanup } from './cleanup.ts';

/** What a container may take, as Kubernetes' `limits` say it. */
export type ContainerLimits = { memoryMb: number; cpus: number | null };

export type Contained = BenchProcess & {
  /** How it goes, and how it went: what the engine knows. */
  look(): Promise<{ running: boolean; oomKilled: boolean; exitCode: number }>;
  /** The end of what it said. */
  words(lines: number): Promise<string>;
  /** Most MiB resident so far, and how many of them now are no file's; null once it has ended. */
  memory(): { peakMb: number; anonymousMb: number } | null;
};

const benchFolder = fileURLToPath(new URL('.', import.meta.url));
const answerMs = 20_000;

/** Starts the image of a service within limits, as the chart does: sealed, without swap, its network this machine's. */
export async function startContainer(
  cleanup: Cleanup,
  { name, env, ready, limits }: { name: Service; env: Record<string, string>; ready: string; limits: ContainerLimits },
): Promise<Contained> {
  const port = await freePort();
  const settings = { ...env, HOST: '127.0.0.1', PORT: `${port}` };
  const memory = `${limits.memoryMb}m`;
  const { code, stdout, stderr } = await docker(
    [
      'run',
      '--detach',
      '--network=host',
      '--read-only',
      '--tmpfs=/tmp',
      '--cap-drop=ALL',
      '--no-healthcheck',
      `--memory=${memory}`,
      `--memory-swap=${memory}`,
      ...(limits.cpus === null ? [] : [`--cpus=${limits.cpus}`]),
      ...Object.entries(settings).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      `--volume=${benchFolder}:/app/test/bench:ro`,
      image(name),
    ],
    answerMs,
  );
  if (code !== 0) throw new Error(`${name} could not be started in a container: ${stderr.trim()}`);
  const id = stdout.trim();
  cleanup.teardown(async () => {
    await docker(['stop', '--time=20', id], 2 * answerMs);
    await docker(['rm', '--force', id], answerMs);
  });
  const inspect = async (format: string) => (await docker(['inspect', '--format', format, id], answerMs)).stdout.trim();
  const look = async () => {
    const [running, oomKilled, exitCode] = (
      await inspect('{{.State.Running}} {{.State.OOMKilled}} {{.State.ExitCode}}')
    ).split(' ');
    return { running: running === 'true', oomKilled: oomKilled === 'true', exitCode: Number(exitCode) };
  };
  const words = async (lines: number) => {
    const { stdout: out, stderr: err } = await docker(['logs', '--tail', String(lines), id], answerMs);
    return `${out}${err}`;
  };
  const pid = Number(await inspect('{{.State.Pid}}'));
  const url = `http://127.0.0.1:${port}`;
  await serves(new URL(ready, url), async () => {
    const { running, oomKilled, exitCode } = await look();
    if (!running) throw new Error(`${name} ended (${oomKilled ? 'OOM-killed' : exitCode}) before it served`);
  });
  return { name, pid, url, look, words, memory: () => memoryOf(pid) };
}

/** `man 5 proc_pid_status`: kB, the peak with the pages of files it has mapped. */
function memoryOf(pid: number): { peakMb: number; anonymousMb: number } | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
    return { peakMb: mb('VmHWM'), anonymousMb: mb('RssAnon') };
  } catch {
    return null;
  }
}
