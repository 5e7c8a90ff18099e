import { createHash } from 'node:crypto';

/** Keys remembered at least; some 100 bytes each. */
const remembered = 100_000;

/**
 * On which line a key stood before, among the last 100,000 lines at least. Bounded, whatever the length of a file or of
 * its keys: two generations, of which the older one goes when the newer is full.
 */
export function createRecentLines(size = remembered) {
  let newer = new Map<string, number>();
  let older = new Map<string, number>();
  return {
    /** Notes the key's line, and answers the one it was noted for before. */
    note(key: string, line: number): number | undefined {
      const hash = createHash('sha256').update(key).digest().toString('latin1', 0, 12);
      const before = newer.get(hash) ?? older.get(hash);
      if (before !== undefined) return before;
      if (newer.size >= size) {
        older = newer;
        newer = new Map();
      }
      newer.set(hash, line);
      return undefined;
    },
  };
}
