/**
 * Does work whose time is limited, with a signal that is also aborted when `ms` are over; throws `late` then, whether or
 * not the work heeds its signal.
 */
export async function withinTime<T>(
  { signal, ms, late }: { signal: AbortSignal; ms: number; late: Error },
  work: (signal: AbortSignal) => Promise<T> | T,
): Promise<T> {
  const timeout = new AbortController();
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    timeout.abort(late);
    reject(late);
  }, ms);
  try {
    return await Promise.race([work(AbortSignal.any([signal, timeout.signal])), timedOut]);
  } finally {
    clearTimeout(timer);
  }
}
