/**
 * Does work whose time is limited, with a signal that is also aborted when `ms` are over. Throws `late` then, and the
 * reason when `signal` is aborted, whether or not the work heeds its signal.
 */
export async function withinTime<T>(
  { signal, ms, late }: { signal: AbortSignal; ms: number; late: Error },
  work: (signal: AbortSignal) => Promise<T> | T,
): Promise<T> {
  signal.throwIfAborted();
  const timeout = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    timeout.abort(late);
    reject(late);
  }, ms);
  const stop = () => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work(AbortSignal.any([signal, timeout.signal])), stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
