import { Parser, type Result } from 'tap-parser';

export type Failure = {
  /** File, tests and assertion, from the outside in. */
  name: string;
  /** What tap says of it: difference, place, exit code. */
  detail: unknown;
};

export type TapResults = {
  /** Failed assertions, and files that failed without one: crashed, hung or left something open. */
  failures: Failure[];
  /** Seconds that each file took, the slowest first. */
  files: { name: string; seconds: number }[];
};

/** What a TAP document of test files says. */
export function readTap(tap: string): TapResults {
  const failures: Failure[] = [];
  const files: TapResults['files'] = [];
  const follow = (parser: Parser): void => {
    let told = failures.length;
    parser.on('child', follow);
    parser.on('assert', (result: Result) => {
      if (parser === root) files.push({ name: result.name, seconds: (result.time ?? 0) / 1000 });
      // A test fails with its assertions; those are told already.
      const itself = failures.length === told;
      if (!result.ok && !result.skip && !result.todo && itself) {
        failures.push({ name: result.fullname, detail: result.diag });
      }
      told = failures.length;
    });
  };
  const root = new Parser();
  follow(root);
  root.end(tap);
  return { failures, files: files.toSorted((a, b) => b.seconds - a.seconds) };
}
