import { isAlive } from '../host.mjs';
import { clone, endLeftovers } from './clone.ts';
import { readProcesses } from './processes.ts';

/** Longer than the longest drain plus the stores' own stop. */
const patienceMs = 90_000;

/** Stops this clone's `npm start`, or what a killed one left, and waits for the end. False when it does not end. */
export async function stopClone(say: (line: string) => void): Promise<boolean> {
  const { supervisor } = readProcesses(clone.processes);
  if (supervisor) {
    say(`Stopping (process ${supervisor.pid}) …`);
    process.kill(supervisor.pid, 'SIGTERM');
    const deadline = Date.now() + patienceMs;
    while (isAlive(supervisor)) {
      if (Date.now() > deadline) {
        say(
          `Process ${supervisor.pid} has not ended after ${patienceMs / 1000} s: kill -9 ${supervisor.pid}, then npm run stop again.`,
        );
        return false;
      }
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
  const ended = await endLeftovers();
  if (ended.length > 0) say(`Ended ${ended.join(', ')}`);
  say(supervisor || ended.length > 0 ? 'Flowstate is stopped.' : 'Flowstate was not running in this clone.');
  return true;
}
