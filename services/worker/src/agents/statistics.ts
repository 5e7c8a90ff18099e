/** `value` with at most `digits` decimals and no negative zero, so that a recorded result equals a fresh one. */
export function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round((value + Math.sign(value) * Number.EPSILON) * scale) / scale + 0;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Arithmetic mean, null of nothing. */
export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

/**
 * The value below which the share `p` (0 to 1) of the values lies, interpolated linearly between neighbours
 * (type 7 of Hyndman & Fan 1996: what Postgres' `percentile_cont` computes). Null of nothing.
 */
export function percentile(values: readonly number[], p: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) return null;
  return low + (high - low) * (at - Math.floor(at));
}

/** Log-odds of a probability strictly between 0 and 1. */
export function logit(p: number): number {
  return Math.log(p / (1 - p));
}

/** Probability of a log-odds value. */
export function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
