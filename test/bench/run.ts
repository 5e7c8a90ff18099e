import type { Bench } from './bench.ts';
import { autoscaleBench } from './autoscale/autoscale-bench.ts';
import { createCleanup } from './cleanup.ts';
import { containmentBench } from './containment/containment-bench.ts';
import { tracingBench } from './tracing/tracing-bench.ts';
import { runsBench } from './runs/runs-bench.ts';
import { scaleBench } from './scale/scale-bench.ts';
import { searchBench } from './search/search-bench.ts';

// `npm run bench [-- NAME …]`: measures the system beside what people would write without it.
const benches: Record<string, Bench> = {
  runs: runsBench,
  containment: containmentBench,
  search: searchBench,
  tracing: tracingBench,
  autoscale: autoscaleBench,
  scale: scaleBench,
};

const usage = `npm run bench [-- NAME [options]]

Measures on this machine, against stores of its own with the durability of \`npm start\` (Postgres with fsync, Redis with
AOF everysec), or those of DATABASE_URL, REDIS_URL and REDIS_CACHE_URL. Let nothing else run beside it.

${Object.entries(benches)
  .map(([name, { summary, options }]) => `  ${name}  ${summary}\n\n${options}`)
  .join('\n\n')}

  --help  this text
`;

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
process.once('SIGTERM', () => interrupted.abort(new Error('interrupted')));

const cleanup = createCleanup();
try {
  const args = process.argv.slice(2);
  const [name = 'runs', ...options] = args[0]?.startsWith('-') ? ['runs', ...args] : args;
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (args.includes('--help') || args.includes('-h')) console.log(usage);
  else if (bench === undefined) throw new Error(`There is no bench ${name}, only ${Object.keys(benches).join(', ')}`);
  else {
    await bench.run(options, { cleanup, signal: interrupted.signal, log: (line) => console.error(line) });
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  await cleanup.run();
}
