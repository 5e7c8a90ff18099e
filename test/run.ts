import { glob, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { startStores, type Stores } from '@flowstate/local';
import { findLeaks } from './leaks.ts';
import { runGroup } from './process-group.ts';
import { startContainerStores } from './support/containers.ts';
import { readTap, type TapResults } from './tap-results.ts';

// `npm test [-- file …]`: stores, type check, lint, format, unused code and all tests; one line of figures at the end.
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const wanted = process.argv.slice(2);

type Check = { name: string; command: string[] };
const staticChecks: Check[] = [
  { name: 'types', command: [bin('tsc'), '--noEmit'] },
  { name: 'lint', command: [bin('oxlint'), '--type-aware', '--deny-warnings'] },
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
  if (wanted.length === 0) for (const check of staticChecks) await runCheck(check);
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
  const { code, output } = await run(command, process.env);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
  if (code === 0) return;
  failures.push(name);
  console.log(output);
}

type Counts = { passed: number; failed: number; skipped: number };

/** Runs the test files two at a time; what they printed is shown for files that failed. */
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
  const results = await mkdtemp(join(tmpdir(), 'flowstate-tap-'));
  try {
    const output = join(results, 'results.tap');
    const printed = join(results, 'printed');
    await mkdir(printed);
    // Writes tap's own base class with the plugins of .taprc; a fresh install has the default ones.
    const build = await run([bin('tap'), 'build'], process.env);
    if (build.code !== 0) throw new Error(`tap build failed:\n${build.output}`);
    const env = {
      ...process.env,
      DATABASE_URL: urls.databaseUrl,
      REDIS_URL: urls.redisUrl,
      REDIS_CACHE_URL: urls.redisCacheUrl,
      FLOWSTATE_TEST_OUTPUT: printed,
      // Hundreds of processes start: a third of a start is compiling what the one before has compiled.
      NODE_COMPILE_CACHE: join(root, '.flowstate', 'compile-cache'),
    };
    const command = [
      bin('tap'),
      'run',
      '--disable-coverage',
      '--jobs=2',
      '--timeout=240',
      '--reporter=terse',
      `--output-file=${output}`,
    ];
    const { code } = await run([...command, ...files.toSorted()], env, 'inherit');
    const tap = await readFile(output, 'utf8').catch(() => '');
    const counts = countsOf(tap);
    // tap fails for what is no assertion too: a file that crashed, hung or left something open.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    await lookForLeaks(printed);
    tell(readTap(tap));
    return counts;
  } finally {
    await rm(results, { recursive: true, force: true });
  }
}

/** Last and plainly, because the reporter's own lines are far above by then, and gone where only the end is kept. */
function tell({ failures, files }: TapResults): void {
  const slowest = files.slice(0, 10).map(({ name, seconds }) => `${name} ${seconds.toFixed(0)} s`);
  if (files.length > 10) console.log(`slowest: ${slowest.join(', ')}`);
  for (const { name, detail } of failures.slice(0, 20)) {
    console.log(`✗ ${name}`);
    if (detail !== null) console.log(inspect(detail, { depth: 4, maxStringLength: 2_000 }));
  }
  if (failures.length > 20) console.log(`✗ and ${failures.length - 20} more`);
}

/** No secret, token or password may stand in what the services printed in all of these tests. */
async function lookForLeaks(printed: string): Promise<void> {
  const { lines, leaks } = await findLeaks(printed);
  console.log(`${leaks.length === 0 ? '✓' : '✗'} no secret in ${lines} lines that services printed`);
  if (leaks.length > 0) failures.push('secrets in output');
  for (const { service, what, line } of leaks.slice(0, 20)) console.log(`  ${service} printed ${what}: ${line}`);
}

/** The figures of the last `# { total: 54, pass: 53, fail: 1 }` line. */
function countsOf(tap: string): Counts {
  const last =
    tap
      .matchAll(/^# \{ total: .*\}$/gm)
      .toArray()
      .at(-1)?.[0] ?? '';
  const figure = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(last)?.[1] ?? 0);
  return { passed: figure('pass'), failed: figure('fail'), skipped: figure('skip') };
}

function run(
  command: string[],
  env: NodeJS.ProcessEnv,
  stdio: 'inherit' | 'pipe' = 'pipe',
): Promise<{ code: number | null; output: string }> {
  // The tools run on the Node that runs this.
  const path = `${join(process.execPath, '..')}:${env.PATH}`;
  return runGroup(command, { cwd: root, env: { ...env, PATH: path }, stdio, signal: stop.signal });
}
