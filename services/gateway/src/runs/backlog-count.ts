import type { Census } from '@flowstate/store';

export type BacklogCount = {
  /** How many runs of the principal have not ended, at most. */
  of(principalId: string): number;
  add(principalId: string): void;
  /** What the controller last counted; called once for every look. */
  looked(census: Census): void;
};

/**
 * The controller's count and what was accepted here since. Between a count and the look that finds it, some are in
 * both: nobody gets more than the limit for it. With nobody who counts nobody is refused: what has ended since would
 * count for ever.
 */
export function createBacklogCount(): BacklogCount {
  let census: Census = { countedAt: new Date(0), fresh: false, crowded: {} };
  let since = new Map<string, number>();
  let sinceLook = new Map<string, number>();

  return {
    of: (principalId) => (census.fresh ? (census.crowded[principalId] ?? 0) + (since.get(principalId) ?? 0) : 0),
    add(principalId) {
      for (const counts of [since, sinceLook]) counts.set(principalId, (counts.get(principalId) ?? 0) + 1);
    },
    looked(seen) {
      if (seen.countedAt.getTime() !== census.countedAt.getTime()) since = new Map(sinceLook);
      census = seen;
      sinceLook = new Map();
    },
  };
}
