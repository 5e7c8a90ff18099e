import { readCensus, stillLive, type Census, type Sql } from '@flowstate/store';

export type BacklogCount = {
  /** Adds the run unless its principal has `max` that have not ended; false then. */
  add(principalId: string, runId: string, max: number): Promise<boolean>;
  /** It was committed at this time of Postgres'; null: it never will be. */
  settled(principalId: string, runId: string, createdAt: Date | null): void;
  /** Reads what the controller counted last. */
  look(): Promise<void>;
};

/** Own runs are looked up again after so many milliseconds for each of them: seldom when there are many. */
const lookUpMs = 1 / 4;

/**
 * How many runs of each principal have not ended: as many as the controller last counted, and of those accepted here
 * since as many as the ledger still has. With nobody who counts nobody is refused.
 */
export function createBacklogCount(sql: Sql): BacklogCount {
  let census: Census = { countedAt: new Date(0), fresh: false, crowded: {} };
  /** Runs accepted here since the count, by principal: when they were committed, null before they are. */
  const since = new Map<string, Map<string, Date | null>>();
  const lookingUp = new Map<string, Promise<void>>();
  const notBefore = new Map<string, number>();

  function count(principalId: string): number {
    return census.fresh ? (census.crowded[principalId] ?? 0) + (since.get(principalId)?.size ?? 0) : 0;
  }

  function forget(principalId: string, ended: (runId: string, createdAt: Date) => boolean): void {
    const own = since.get(principalId);
    for (const [runId, createdAt] of own ?? []) if (createdAt !== null && ended(runId, createdAt)) own?.delete(runId);
    if (own?.size === 0) since.delete(principalId);
  }

  async function lookUp(principalId: string): Promise<void> {
    const committed = [...(since.get(principalId) ?? [])].flatMap(([id, createdAt]) =>
      createdAt === null ? [] : [id],
    );
    if (committed.length === 0 || performance.now() < (notBefore.get(principalId) ?? 0)) return;
    const live = await stillLive(sql, committed);
    const asked = new Set(committed);
    forget(principalId, (runId) => asked.has(runId) && !live.has(runId));
    notBefore.set(principalId, performance.now() + committed.length * lookUpMs);
  }

  return {
    async add(principalId, runId, max) {
      if (count(principalId) >= max) {
        let asking = lookingUp.get(principalId);
        if (asking === undefined) {
          asking = lookUp(principalId).finally(() => lookingUp.delete(principalId));
          lookingUp.set(principalId, asking);
        }
        await asking;
        if (count(principalId) >= max) return false;
      }
      const own = since.get(principalId);
      if (own) own.set(runId, null);
      else since.set(principalId, new Map([[runId, null]]));
      return true;
    },
    settled(principalId, runId, createdAt) {
      if (createdAt !== null && census.fresh) since.get(principalId)?.set(runId, createdAt);
      else since.get(principalId)?.delete(runId);
    },
    async look() {
      const { countedAt, fresh, crowded } = await readCensus(sql, census.countedAt);
      census = { countedAt, fresh, crowded: crowded ?? census.crowded };
      for (const principalId of since.keys()) forget(principalId, (_, at) => !fresh || at < countedAt);
      for (const [principalId, at] of notBefore) if (at < performance.now()) notBefore.delete(principalId);
    },
  };
}
