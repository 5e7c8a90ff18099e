import { parseArgs } from 'node:util';
import { createConsole } from './console.ts';
import { startLocked } from './locked-start.ts';
import { createStopRequest } from './stop-request.ts';

const usage = `npm start [-- --once] [--no-sample]

Starts Flowstate on this machine: PostgreSQL, Redis, gateway, worker and controller. The first time it makes secrets
and demo users, and loads sample data. Then it runs a customer-insights workflow and prints the report.

  --once       stop after the report; the exit code says whether the run completed
  --no-sample  load no sample data: for data of your own, see \`npx flowstate import --help\`
  --help       this text

Ports: GATEWAY_PORT (3001), WORKER_PORT (8000), CONTROLLER_PORT (8090), SCALER_PORT (8091). Stores: DATABASE_URL,
REDIS_URL and REDIS_CACHE_URL, when set, are used instead of own ones. Settings made here are kept in
.flowstate/local.env.
See also: npm run dev, npm run status, npm run stop, npm run reset.`;

const console = createConsole(process.stdout, process.env);

await startLocked(console, createStopRequest(console.say), () => {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      sample: { type: 'boolean', default: true },
      help: { type: 'boolean', short: 'h' },
    },
    allowNegative: true,
  });
  if (values.help) return { say: usage };
  return { once: values.once, sample: values.sample, demonstrate: true, workflows: [] };
});
