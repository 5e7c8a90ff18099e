import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../deploy/local/src/ports.ts';
import type { Cleanup } from './cleanup.ts';

export type BenchProcess = { name: string; pid: number; url: string };

type Options = {
  name: string;
  /** Of its program, from the clone's root. */
  file: string;
  env: Record<string, string>;
  /** Path that answers 200 once it serves. */
  ready: string;
  /** Folder for a CPU profile, written when it ends. */
  profileDir?: string | undefined;
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const graceMs = 20_000;

/** Starts a program of its own and waits until it serves. Its log goes to a file, as a container's would. */
export async function startProcess(cleanup: Cleanup, options: Options): Promise<BenchProcess> {
  const { name, file, env, ready, profileDir } = options;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), `flowstate-bench-${name}-`));
  cleanup.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a');
  if (profileDir !== undefined) mkdirSync(profileDir, { recursive: true });
  const profile =
    profileDir === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${name}.cpuprofile`];
  const telemetry = env['OTEL_ENABLED'] === 'true' ? ['--import', './packages/runtime/src/telemetry.ts'] : [];
  const child = spawn(process.execPath, [...telemetry, ...profile, file], {
    cwd: root,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      HOST: '127.0.0.1',
      PORT: `${port}`,
      ...env,
    },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = once(child, 'exit');
  cleanup.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(force);
  });
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([
    serves(new URL(ready, url)),
    ended.then(([code, signal]) => {
      const words = readFileSync(logFile, 'utf8').trim().split('\n').slice(-20).join('\n');
      throw new Error(`${name} ended (${String(code ?? signal)}) before it served:\n${words}`);
    }),
  ]);
  return { name, pid: child.pid as number, url };
}

/** A process that was just started offers nothing else to wait on. `lives` throws when it does no more. */
export async function serves(url: URL, lives: () => Promise<void> = async () => {}): Promise<void> {
  for (const deadline = Date.now() + 60_000; ;) {
    await lives();
    const status = await fetch(url).then(
      async (response) => response.text().then(() => response.status),
      () => 0,
    );
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`${url.href} did not answer 200 within 60 s, but ${status}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
