import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Advice } from '../host.mjs';
import { signalGroup, stopSignal, type ProcessRecord } from './processes.ts';

export type KeptSpec = {
  name: string;
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** Numeric user and group to run as, when root. */
  user?: { uid: number; gid: number } | undefined;
  /** Every line the process writes, on either stream. */
  onLine: (line: string) => void;
  /** How a line reads in an error message. */
  readable?: (line: string) => string;
  /** Shown by `npm run status`: where it serves. */
  address?: string;
  /** Resolves once the process serves; called after each start. */
  ready: (signal: AbortSignal) => Promise<void>;
  /** How long a stop waits before SIGKILL. */
  graceMs: number;
};

export type Kept = {
  readonly name: string;
  /** Undefined while it is down. */
  pid(): number | undefined;
  /** Starts it and resolves when it serves; rejects with its last words when it ends before that. */
  up(signal?: AbortSignal): Promise<void>;
  /** Stops it, by SIGKILL after the grace time, and keeps it down. */
  down(signal?: NodeJS.Signals): Promise<void>;
};

type Surroundings = { log: (line: string) => void; record: ProcessRecord };

const firstDelayMs = 500;
const longestDelayMs = 15_000;
/** A process that lived this long starts again without the delays its earlier deaths earned. */
const settledMs = 30_000;

/** A child process in a group of its own that is started again, with backoff, whenever it dies unasked. */
export function keepAlive(spec: KeptSpec, { log, record }: Surroundings): Kept {
  let child: ChildProcess | undefined;
  let exited: Promise<string> = Promise.resolve('not started');
  let wanted = false;
  let deaths = 0;
  let timer: NodeJS.Timeout | undefined;
  let lastLines: string[] = [];

  function launch(): void {
    const startedAt = Date.now();
    lastLines = [];
    const started = spawn(spec.command, spec.args, {
      env: spec.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(spec.cwd !== undefined && { cwd: spec.cwd }),
      ...spec.user,
    });
    child = started;
    const { pid } = started;
    if (pid !== undefined) record.add(spec.name, pid, spec.address);
    for (const stream of [started.stdout, started.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lastLines = [...lastLines.slice(-4), line];
        spec.onLine(line);
      });
    }
    exited = new Promise((resolve) => {
      started.once('error', (error) => resolve(error.message));
      started.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void watch(exited, pid, startedAt);
  }

  async function watch(ended: Promise<string>, pid: number | undefined, startedAt: number): Promise<void> {
    const how = await ended;
    if (pid !== undefined) record.remove(pid);
    child = undefined;
    if (wanted) startAgain(how, Date.now() - startedAt);
  }

  function startAgain(how: string, livedMs: number): void {
    deaths = livedMs > settledMs ? 1 : deaths + 1;
    const delayMs = Math.min(firstDelayMs * 2 ** (deaths - 1), longestDelayMs);
    log(`${spec.name} stopped (${how}); starting it again in ${delayMs / 1000} s`);
    timer = setTimeout(launch, delayMs);
  }

  async function up(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    launch();
    const gaveUp = new AbortController();
    const stopped = exited.then((how) => {
      const words = lastLines.map((line) => spec.readable?.(line) ?? line).join(' | ');
      throw new Advice(`${spec.name} did not start (${how}): ${words || 'it said nothing'}`);
    });
    try {
      const signals = signal ? [signal, gaveUp.signal] : [gaveUp.signal];
      await Promise.race([spec.ready(AbortSignal.any(signals)), stopped]);
      wanted = true;
    } catch (error) {
      await down();
      throw error;
    } finally {
      gaveUp.abort();
      stopped.catch(() => undefined);
    }
  }

  async function down(signal = stopSignal(spec.name)): Promise<void> {
    wanted = false;
    clearTimeout(timer);
    const pid = child?.pid;
    if (pid === undefined) return;
    signalGroup(pid, signal);
    const force = setTimeout(() => {
      log(`${spec.name} did not stop within ${spec.graceMs / 1000} s; killing it`);
      signalGroup(pid, 'SIGKILL');
    }, spec.graceMs);
    await exited;
    clearTimeout(force);
  }

  return { name: spec.name, pid: () => child?.pid, up, down };
}

/**
 * Tries again every 50 ms until `attempt` resolves; `isFatal` errors, the deadline and the signal end it.
 * For waiting on a process that was just started and offers nothing else to wait on.
 */
export async function until(
  attempt: () => Promise<void>,
  { signal, timeoutMs, what }: { signal: AbortSignal; timeoutMs: number; what: string },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) {
        throw new Advice(`${what} did not answer within ${timeoutMs / 1000} s: ${(error as Error).message}`);
      }
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
