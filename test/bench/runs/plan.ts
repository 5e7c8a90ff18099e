/** How long and how hard to measure. */
export type Plan = {
  rounds: number;
  concurrency: number;
  inFlight: number;
  warmUpMs: number;
  windowMs: number;
  pacedRuns: number;
  /** Round trips of each kind that are measured alone. */
  hops: number;
  /** Finished runs in the ledger. */
  finished: readonly number[];
  /** Runs queued in the ledger. */
  queued: readonly number[];
};

export const fullPlan: Plan = {
  rounds: 3,
  concurrency: 64,
  inFlight: 128,
  // Until most of what runs is compiled: that takes a fifth of two cores for some ten seconds.
  warmUpMs: 15_000,
  windowMs: 10_000,
  pacedRuns: 400,
  hops: 100,
  finished: [1_000, 10_000, 100_000],
  queued: [10_000, 100_000],
};

/** Shows that everything works; its figures are too short to be believed. */
export const quickPlan: Plan = {
  ...fullPlan,
  rounds: 1,
  warmUpMs: 1_000,
  windowMs: 2_000,
  pacedRuns: 30,
  hops: 10,
  finished: [500],
  queued: [3_000],
};

/** What a client that sends steadily, and does not wait, is promised its latencies at. */
export const pacedPerSecond = 20;
