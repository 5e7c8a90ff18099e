import type { Cleanup } from './cleanup.ts';

/** What `npm run bench -- NAME [options]` can run. */
export type Bench = {
  /** One line for `--help`. */
  summary: string;
  /** Its own options, for `--help`. */
  options: string;
  /** Runs it with the arguments after its name; what it started ends with `cleanup`. */
  run(args: string[], surroundings: Surroundings): Promise<void>;
};

export type Surroundings = { cleanup: Cleanup; signal: AbortSignal; log: (line: string) => void };
