type Options = {
  /** How long an answer is believed, milliseconds. */
  maxAgeMs: number;
  /** Answers kept at most; the oldest go first. */
  maxEntries?: number;
  /** An answer from another version is asked again at once. */
  version: () => unknown;
};

/** Remembers answers for a moment, so that a burst of calls with one credential asks Postgres once. Failures are not kept. */
export function createFreshCache<T>(
  load: (key: string) => Promise<T>,
  { maxAgeMs, maxEntries = 10_000, version }: Options,
): (key: string) => Promise<T> {
  const entries = new Map<string, { answer: Promise<T>; at: number; version: unknown }>();

  return (key) => {
    const known = entries.get(key);
    const now = performance.now();
    if (known !== undefined && now - known.at <= maxAgeMs && known.version === version()) return known.answer;
    const entry = { answer: load(key), at: now, version: version() };
    entries.delete(key);
    entries.set(key, entry);
    if (entries.size > maxEntries) entries.delete(entries.keys().next().value as string);
    entry.answer.catch(() => {
      if (entries.get(key) === entry) entries.delete(key);
    });
    return entry.answer;
  };
}
