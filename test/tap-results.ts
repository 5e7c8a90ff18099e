import { Parser, type FinalResults, type Result } from 'tap-parser';

export type Failure = {
  /** File, tests and assertion, from the outside in. */
  name: string;
  /** What tap says of it: difference, place, exit code. */
  detail: unknown;
};

/** What was not verified here, with the reason; of tests that hold others, the innermost. */
export type Skip = { name: string; reason: string };

export type FileResult = { file: string; seconds: number; failures: Failure[]; skips: Skip[] };

export type Counts = { passed: number; failed: number; skipped: number };

/** How a process ended that ran `files` in turn, and what it printed. */
type Ended = { code: number | null; stdout: string; stderr: string };

/**
 * What the TAP of a process says of the test files it ran, each a test of its own: their failed assertions, what was
 * skipped, how many there were, and of those that it did not come to or broke off in, just that.
 */
export function readTap(files: string[], ended: Ended): { files: FileResult[]; counts: Counts } {
  const results = new Map<string, FileResult>(
    files.map((file) => [file, { file, seconds: 0, failures: [], skips: [] }]),
  );
  const done = new Set<string>();
  const fallback = results.get(files[0] as string) as FileResult;
  let current = fallback;

  const follow = (parser: Parser, inner: Parser | undefined): void => {
    let told = current.failures.length;
    parser.on('child', (child: Parser) => {
      if (inner === undefined) {
        current = results.get(child.name) ?? fallback;
        told = current.failures.length;
        child.on('complete', ({ count }: FinalResults) => {
          if (count === 0) current.failures.push({ name: current.file, detail: 'no tests found' });
        });
      }
      follow(child, parser);
    });
    parser.on('assert', (result: Result) => {
      // A test fails with its assertions; those are told already.
      const itself = current.failures.length === told;
      if (!result.ok && !result.skip && !result.todo && itself) {
        current.failures.push({ name: result.fullname, detail: result.diag });
      }
      if (result.skip) current.skips.push({ name: result.fullname, reason: result.skip === true ? '' : result.skip });
      told = current.failures.length;
      if (inner === undefined && results.has(result.name)) {
        done.add(result.name);
        current.seconds = (result.time ?? 0) / 1_000;
      }
    });
  };
  const root = new Parser();
  follow(root, undefined);
  root.end(ended.stdout);

  const all = [...results.values()];
  const failed = () => all.reduce((sum, { failures }) => sum + failures.length, 0);
  for (const result of all) {
    if (done.has(result.file) || result.failures.length > 0) continue;
    result.failures.push({ name: result.file, detail: { missing: 'its end', exitCode: ended.code } });
  }
  // It crashed, or left something open.
  if (ended.code !== 0 && failed() === 0)
    current.failures.push({ name: `after ${files.join(', ')}`, detail: { exitCode: ended.code } });
  if (failed() > 0 && ended.stderr !== '') current.failures.push({ name: 'stderr', detail: ended.stderr });
  const counts = countsOf(ended.stdout);
  return { files: all, counts: { ...counts, failed: Math.max(counts.failed, failed()) } };
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
