export type RetrySchedule = {
  /** Wait after the first failure, in milliseconds; doubled after each further one. */
  baseMs: number;
  /** No wait is longer, whatever `Retry-After` asks for. */
  maxMs: number;
  /** No try begins later than this after the delivery was (re)started. */
  retryForMs: number;
};

/** 5 s, 10 s, 20 s … doubling to an hour, then hourly: some 33 tries in the day. */
export const dayOfRetries: RetrySchedule = { baseMs: 5_000, maxMs: 3_600_000, retryForMs: 24 * 3_600_000 };

type Failure = {
  /** Failed tries so far, this one included. */
  failures: number;
  /** Milliseconds since the delivery was (re)started. */
  ageMs: number;
  /** What the endpoint asked for. */
  retryAfterMs: number | null;
};

/**
 * Milliseconds until the next try: exponential with ±20 % jitter, so that what failed together does not come back
 * together, and no earlier than the endpoint asked. Null when the time for retries is over.
 */
export function retryDelay(
  { baseMs, maxMs, retryForMs }: RetrySchedule,
  { failures, ageMs, retryAfterMs }: Failure,
): number | null {
  const backoff = Math.min(baseMs * 2 ** (failures - 1), maxMs) * (0.8 + 0.4 * Math.random());
  const delay = Math.max(backoff, Math.min(retryAfterMs ?? 0, maxMs));
  return ageMs + delay > retryForMs ? null : delay;
}
