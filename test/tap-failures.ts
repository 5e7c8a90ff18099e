import { Parser, type Result } from 'tap-parser';

export type Failure = {
  /** File, tests and assertion, from the outside in. */
  name: string;
  /** What tap says of it: difference, place, exit code. */
  detail: unknown;
};

/** The failed assertions of a TAP document, and the files that failed without one: crashed, hung or left something open. */
export function tapFailures(tap: string): Failure[] {
  const failures: Failure[] = [];
  const follow = (parser: Parser): void => {
    let told = failures.length;
    parser.on('child', follow);
    parser.on('assert', (result: Result) => {
      // A test fails with its assertions; those are told already.
      const itself = failures.length === told;
      if (!result.ok && !result.skip && !result.todo && itself) {
        failures.push({ name: result.fullname, detail: result.diag });
      }
      told = failures.length;
    });
  };
  const parser = new Parser();
  follow(parser);
  parser.end(tap);
  return failures;
}
