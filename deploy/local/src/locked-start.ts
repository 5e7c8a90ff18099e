import { clone, endLeftovers } from './clone.ts';
import type { Console } from './console.ts';
import { runLocal, type Wanted } from './local-run.ts';
import { Advice, explain, tryLock } from '../host.mjs';
import type { StopRequest } from './stop-request.ts';

/** Runs everything in this clone, of which there can be one at a time; ends the process with the right exit code. */
export async function startLocked(
  console: Console,
  stop: StopRequest,
  wanted: () => Wanted | { say: string },
): Promise<never> {
  try {
    const asked = wanted();
    if ('say' in asked) console.print(asked.say);
    else process.exitCode = await startOnce(asked, console, stop);
  } catch (error) {
    if (!stop.signal.aborted) console.say(explain(error));
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
  // Everything was stopped in order above; a leftover timer or socket must not hold the terminal.
  process.exit();
}

async function startOnce(wanted: Wanted, console: Console, stop: StopRequest): Promise<number> {
  const lock = tryLock(clone.lock);
  if ('holder' in lock) {
    throw new Advice(
      `Flowstate is already running in this clone (process ${lock.holder}): see npm run status, npm run stop.`,
    );
  }
  try {
    const ended = await endLeftovers();
    if (ended.length > 0) console.say(`Ended what an interrupted start had left running: ${ended.join(', ')}`);
    return await runLocal({ ...wanted, console, stop, env: process.env });
  } finally {
    lock.release();
  }
}
