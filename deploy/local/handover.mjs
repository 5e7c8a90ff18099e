// Gets the toolchain, then becomes as thin as it can be: passes signals on and the exit code back.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { explain, isRoot } from './host.mjs';
import { CLONE, ensureToolchain } from './toolchain.mjs';

const sameRequestMs = 1000;

const PROGRAMS = {
  start: { file: 'deploy/local/src/start.ts', dependencies: true },
  dev: { file: 'deploy/local/src/dev.ts', dependencies: true },
  test: { file: 'test/run.ts', dependencies: true },
  bench: { file: 'test/bench/run.ts', dependencies: true },
  chaos: { file: 'test/chaos/main.ts', dependencies: true },
  docs: { file: 'test/configuration-table.ts', dependencies: true },
  dashboards: { file: 'deploy/grafana/src/main.ts', dependencies: true },
  status: { file: 'deploy/local/src/status.ts', dependencies: false },
  stop: { file: 'deploy/local/src/stop.ts', dependencies: false },
  reset: { file: 'deploy/local/src/reset.ts', dependencies: false },
};

/** @returns {Promise<number>} the exit code */
export async function main([name, ...args]) {
  const program = PROGRAMS[name];
  if (!program) {
    console.error(`Usage: node deploy/local/bin.mjs ${Object.keys(PROGRAMS).join('|')} [options]`);
    return 2;
  }
  // As root, the servers run as another user, who must be able to enter what is unpacked here; secrets have modes of
  // their own.
  if (isRoot()) process.umask(0o022);
  const interrupted = new AbortController();
  let child;
  let lastAt = 0;
  const pass = (signal) => {
    // npm passes a Ctrl-C on that the terminal has sent here already: what comes this soon is the same one.
    if (Date.now() - lastAt < sameRequestMs) return;
    lastAt = Date.now();
    if (child) child.kill(signal);
    else interrupted.abort(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, pass);
  try {
    const { node, env } = await ensureToolchain({
      log: (line) => console.error(line),
      signal: interrupted.signal,
      dependencies: program.dependencies,
    });
    interrupted.signal.throwIfAborted();
    // In a group of its own, so that it gets each signal once, from here; by the channel it learns of our end.
    child = spawn(node, [join(CLONE, program.file), ...args], {
      cwd: CLONE,
      env,
      detached: true,
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    return await new Promise((done, fail) => {
      child.once('error', fail);
      child.once('exit', (code, signal) => done(code ?? 128 + constants.signals[signal]));
    });
  } catch (error) {
    if (interrupted.signal.aborted) {
      console.error('Stopped; nothing was left running. The same command continues where this one was.');
      return 128 + constants.signals[interrupted.signal.reason];
    }
    console.error(explain(error));
    return 1;
  }
}
