#!/usr/bin/env node
// `npx flowstate …` in a clone: runs on any Node from 18 on, gets Node 24 and the dependencies when they are missing,
// and hands over to src/main.ts.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Advice } from '../../../deploy/local/host.mjs';
import { ensureToolchain } from '../../../deploy/local/toolchain.mjs';

const interrupted = new AbortController();
let child;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    // A Ctrl-C reaches the child by itself: it is of the terminal's process group.
    if (!child) interrupted.abort(signal);
    else if (signal !== 'SIGINT') child.kill(signal);
  });
}
try {
  const { node, env } = await ensureToolchain({ log: (line) => console.error(line), signal: interrupted.signal });
  interrupted.signal.throwIfAborted();
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  child = spawn(node, [main, ...process.argv.slice(2)], { env, stdio: 'inherit' });
  process.exitCode = await new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code, signal) => done(code ?? 128 + constants.signals[signal]));
  });
} catch (error) {
  if (interrupted.signal.aborted) process.exitCode = 128 + constants.signals[interrupted.signal.reason];
  else {
    console.error(error instanceof Advice ? error.message : error);
    process.exitCode = 1;
  }
}
