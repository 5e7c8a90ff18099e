import { Parser, type FinalResults, type Result } from 'tap-parser';

export type Failure = {
  /** File, tests and assertion, from the outside in. */
  name: string;
  /** What tap says of it: difference, place, exit code. */
  detail: unknown;
};

/** What was not verified here, with the reason; of tests that hold others, the innermost. */
export type Skip = { name: string; reason: string };

export type Counts = { passed: number; failed: number; skipped: number };

/**
 * What a test file's TAP says: its failed assertions, or that it broke off without one, what was skipped, and how many
 * there were.
 */
export function readTap(file: string, tap: string): { failures: Failure[]; skips: Skip[]; counts: Counts } {
  const failures: Failure[] = [];
  const skips: Skip[] = [];
  const follow = (parser: Parser): void => {
    let told = failures.length;
    parser.on('child', follow);
    parser.on('assert', (result: Result) => {
      // A test fails with its assertions; those are told already.
      const itself = failures.length === told;
      if (!result.ok && !result.skip && !result.todo && itself) {
        failures.push({ name: `${file} > ${result.fullname}`, detail: result.diag });
      }
      if (result.skip) {
        skips.push({ name: `${file} > ${result.fullname}`, reason: result.skip === true ? '' : result.skip });
      }
      told = failures.length;
    });
  };
  const root = new Parser();
  follow(root);
  root.on('complete', ({ ok, count, plan, failures: [why] }: FinalResults) => {
    const empty = count === 0 && plan.skipReason === 'no tests found';
    if ((!ok || empty) && failures.length === 0) failures.push({ name: file, detail: why ?? plan.skipReason });
  });
  root.end(tap);
  const counts = countsOf(tap);
  return { failures, skips, counts: { ...counts, failed: Math.max(counts.failed, failures.length) } };
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
