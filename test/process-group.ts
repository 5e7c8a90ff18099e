import { spawn } from 'node:child_process';

type Options = { cwd: string; env: NodeJS.ProcessEnv; signal: AbortSignal };

export type Ended = { code: number | null; stdout: string; stderr: string };

const graceMs = 3000;

/**
 * Runs a command in a process group of its own and ends the whole group with it: a test that is stopped, hangs or
 * crashes does not get to stop the services it started. Rejects when `signal` stopped it.
 */
export async function runGroup([command, ...args]: string[], { cwd, env, signal }: Options): Promise<Ended> {
  signal.throwIfAborted();
  const child = spawn(command as string, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => (printed[name] += chunk));

  function end(name: 'SIGTERM' | 'SIGKILL'): void {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // all of it has ended
    }
  }
  let force: NodeJS.Timeout | undefined;
  function stop(): void {
    end('SIGTERM');
    force = setTimeout(end, graceMs, 'SIGKILL');
  }
  signal.addEventListener('abort', stop, { once: true });
  try {
    const closed = Promise.withResolvers<number | null>();
    child.once('error', closed.reject);
    // What was left behind may hold the pipes, so that `close` would not come before it ends.
    child.once('exit', () => end('SIGKILL'));
    child.once('close', closed.resolve);
    const code = await closed.promise;
    signal.throwIfAborted();
    return { code, ...printed };
  } finally {
    clearTimeout(force);
    signal.removeEventListener('abort', stop);
  }
}
