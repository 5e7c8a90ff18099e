import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runGroup } from './process-group.ts';

/** A command that leaves a process behind, whose id it writes. */
const leaving = (file: string, then: string) => ['sh', '-c', `sleep 1000 & echo $! > ${file}; ${then}`];

function lives(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

/** The kernel has ended a process soon after its signal, not with it. */
async function gone(file: string): Promise<void> {
  while (lives(file)) await new Promise((wake) => setTimeout(wake, 10));
}

t.test('what a command leaves behind ends with it', async (t) => {
  const cwd = t.testdir();
  const file = join(cwd, 'pid');
  const { signal } = new AbortController();
  const ended = await runGroup(leaving(file, 'echo out; echo err >&2; exit 3'), { cwd, env: process.env, signal });
  t.same(ended, { code: 3, stdout: 'out\n', stderr: 'err\n' });
  await gone(file);
});

t.test('stopping it stops all it started, even what does not listen', async (t) => {
  const cwd = t.testdir();
  const file = join(cwd, 'pid');
  const stop = new AbortController();
  const command = leaving(file, 'trap "" TERM; touch ready; while :; do sleep 1; done');
  const running = runGroup(command, { cwd, env: process.env, signal: stop.signal });
  const refused = t.rejects(running, { name: 'AbortError' });
  while (!existsSync(join(cwd, 'ready'))) await new Promise((wake) => setTimeout(wake, 10));
  t.ok(lives(file));
  stop.abort();
  await refused;
  await gone(file);
});
