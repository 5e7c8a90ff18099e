import { parseArgs } from 'node:util';
import { clone, endLeftovers } from './clone.ts';
import { createConsole } from './console.ts';
import { runLocal } from './local-run.ts';
import { Advice, explain, tryLock } from '../host.mjs';
import { createStopRequest } from './stop-request.ts';

const usage = `npm start [-- --once] [--no-sample]

Starts Flowstate on this machine: PostgreSQL, Redis, gateway, worker and controller. The first time it makes secrets
and demo users, and loads sample data. Then it runs a customer-insights workflow and prints the report.

  --once       stop after the report; the exit code says whether the run completed
  --no-sample  load no sample data: for data of your own, see \`npx flowstate import --help\`
  --help       this text

Ports: GATEWAY_PORT (3001), WORKER_PORT (8000), CONTROLLER_PORT (8090). Stores: DATABASE_URL, REDIS_URL and
REDIS_CACHE_URL, when set, are used instead of own ones. Settings made here are kept in .flowstate/local.env.
See also: npm run status, npm run stop, npm run reset.`;

const console = createConsole(process.stdout, process.env);
const stop = createStopRequest(console.say);

try {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      sample: { type: 'boolean', default: true },
      help: { type: 'boolean', short: 'h' },
    },
    allowNegative: true,
  });
  if (values.help) console.print(usage);
  else process.exitCode = await startOnce(values);
} catch (error) {
  if (!stop.signal.aborted) console.say(explain(error));
  process.exitCode = stop.signal.aborted ? 130 : 1;
}
// Everything was stopped in order above; a leftover timer or socket must not hold the terminal.
process.exit();

async function startOnce(wanted: { once: boolean; sample: boolean }): Promise<number> {
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
