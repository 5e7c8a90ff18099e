import { glob, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { startStores, type Stores } from '@flowstate/local';
import { findLeaks } from './leaks.ts';
import { runGroup } from './process-group.ts';
import { groupFiles } from './file-groups.ts';
import { runFiles } from './run-files.ts';
import { startContainerStores } from './support/containers.ts';
import { singleServerOnly } from './single-server.ts';
import type { Counts, FileResult } from './tap-results.ts';

// `npm test [-- file …]`: stores, type check, lint, format, unused code and all tests; one line of figures at the end.
// `npm run test:cluster [-- file …]`: the tests alone, each file on Redis Clusters of its own.
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const wanted = process.argv.slice(2);
const onClusters = process.env.FLOWSTATE_TEST_REDIS === 'cluster';

type Check = { name: string; command: string[] };
const staticChecks: Check[] = [
  // The linter that knows types reports the compiler's own errors too: tsc would work all of them out once more.
  { name: 'types and lint', command: [bin('oxlint'), '--type-aware', '--type-check', '--deny-warnings'] },
  { name: 'format', command: [bin('oxfmt'), '--check'] },
  { name: 'unused code', command: [bin('knip')] },
];

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort());
// Whoever started this was killed; listening for that must not keep this alive.
process.once('disconnect', () => stop.abort());
process.channel?.unref();

const failures: string[] = [];
let stores: TestStores | undefined;
try {
  stores = await startTestStores();
  if (wanted.length === 0 && !onClusters) for (const check of staticChecks) await runCheck(check);
  const counts = await runTests(stores);
  console.log(`\n${counts.passed} passed, ${counts.failed + failures.length} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed + failures.length === 0 ? 0 : 1;
} catch (error) {
  console.error(stop.signal.aborted ? 'Stopped.' : (error as Error).message);
  process.exitCode = stop.signal.aborted ? 130 : 1;
} finally {
  await stores?.stop();
}
// An image that is still being pulled must not hold the terminal.
if (stop.signal.aborted) process.exit();

type TestStores = Pick<Stores, 'databaseUrl' | 'redisUrl' | 'redisCacheUrl' | 'stop'>;

/** By URLs from the environment, else containers where an engine answers, else the local programs of `npm start`. */
async function startTestStores(): Promise<TestStores> {
  const { DATABASE_URL, REDIS_URL } = process.env;
  const log = (line: string) => console.log(line);
  if (!DATABASE_URL && !REDIS_URL) {
    const containers = await startContainerStores({ log, signal: stop.signal });
    if (containers) {
      log('stores: containers');
      return containers;
    }
  }
  const local = await startStores({
    dataDir: join(root, '.flowstate'),
    cacheDir: process.env.FLOWSTATE_CACHE ?? join(root, '.flowstate', 'cache'),
    ephemeral: true,
    signal: stop.signal,
    log,
  });
  log(`stores: postgres ${local.source.postgres}, redis ${local.source.redis}`);
  return local;
}

async function runCheck({ name, command }: Check): Promise<void> {
  const begun = performance.now();
  const { code, stdout, stderr } = await runGroup(command, { cwd: root, env: environment(), signal: stop.signal });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
  if (code === 0) return;
  failures.push(name);
  console.log(`${stdout}${stderr}`);
}

/** Runs the test files, two processes at a time; what they said is told of those that failed. */
async function runTests(urls: TestStores): Promise<Counts> {
  const files =
    wanted.length > 0
      ? wanted
      : await Array.fromAsync(
          glob('{packages,services,deploy,test}/**/*.test.ts', {
            cwd: root,
            exclude: (path) => path.includes('node_modules'),
          }),
        );
  const unfit = onClusters ? files.filter((file) => file in singleServerOnly) : [];
  const printed = await mkdtemp(join(tmpdir(), 'flowstate-printed-'));
  try {
    const results = await runFiles(groupFiles(files.filter((file) => !unfit.includes(file))), {
      cwd: root,
      env: {
        ...environment(),
        DATABASE_URL: urls.databaseUrl,
        // A file that asks for the one server would pass without having been on a cluster.
        REDIS_URL: onClusters ? undefined : urls.redisUrl,
        REDIS_CACHE_URL: onClusters ? undefined : urls.redisCacheUrl,
        FLOWSTATE_TEST_OUTPUT: printed,
        // Hundreds of processes start: a third of a start is compiling what the one before has compiled.
        NODE_COMPILE_CACHE: join(root, '.flowstate', 'compile-cache'),
      },
      jobs: 2,
      signal: stop.signal,
      onFile: ({ file, seconds, failures }) =>
        console.log(`${failures.length === 0 ? '✓' : '✗'} ${file} (${seconds.toFixed(1)} s)`),
    });
    await lookForLeaks(printed);
    for (const file of unfit) console.log(`– ${file}, not on a cluster: ${singleServerOnly[file]}`);
    tell(results.flatMap(({ files }) => files));
    const sum = (count: keyof Counts) => results.reduce((total, { counts }) => total + counts[count], 0);
    return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') + unfit.length };
  } finally {
    await rm(printed, { recursive: true, force: true });
  }
}

/** Last and plainly, because the files' own lines are far above by then, and gone where only the end is kept. */
function tell(results: FileResult[]): void {
  const slowest = results
    .toSorted((a, b) => b.seconds - a.seconds)
    .slice(0, 10)
    .map(({ file, seconds }) => `${file} ${seconds.toFixed(0)} s`);
  if (results.length > 10) console.log(`slowest: ${slowest.join(', ')}`);
  for (const { name, reason } of results.flatMap(({ skips }) => skips))
    console.log(`– ${name}, not verified: ${reason}`);
  const failed = results.flatMap(({ failures }) => failures);
  for (const { name, detail } of failed.slice(0, 20)) {
    console.log(`✗ ${name}`);
    if (detail !== null) console.log(inspect(detail, { depth: 4, maxStringLength: 2_000 }));
  }
  if (failed.length > 20) console.log(`✗ and ${failed.length - 20} more`);
}

/** No secret, token or password may stand in what the services printed in all of these tests. */
async function lookForLeaks(printed: string): Promise<void> {
  const { lines, leaks } = await findLeaks(printed);
  console.log(`${leaks.length === 0 ? '✓' : '✗'} no secret in ${lines} lines that services printed`);
  if (leaks.length > 0) failures.push('secrets in output');
  for (const { service, what, line } of leaks.slice(0, 20)) console.log(`  ${service} printed ${what}: ${line}`);
}

/** The tools run on the Node that runs this. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env.PATH}` };
}
