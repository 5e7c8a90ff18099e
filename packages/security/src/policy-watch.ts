import { readPolicy, revocationsKeptSeconds, type Sql } from '@flowstate/store';

export type PolicyWatch = {
  /** Newest policy epoch known here; undefined until Postgres has answered once. */
  epoch(): number | undefined;
  isRevoked(sessionId: string): boolean;
  /** Did Postgres answer when it was last asked? */
  reachable(): boolean;
  /** Reads the policy now. Resolves whether or not Postgres answered. */
  refresh(): Promise<void>;
  /** What this process did itself counts at once. */
  noteRevoked(sessionIds: readonly string[]): void;
  noteEpoch(epoch: number): void;
  close(): void;
};

const everyMs = 1_000;

/**
 * Keeps this process informed of access changes from Postgres, once a second. Redis may lose a deletion (restart,
 * failover, outage); a revoked session or a changed role still reaches every gateway this way.
 */
export function createPolicyWatch(sql: Sql): PolicyWatch {
  let epoch: number | undefined;
  let polled = new Set<string>();
  const noted = new Map<string, number>();
  let reachable = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  function noteEpoch(seen: number): void {
    if (epoch === undefined || seen > epoch) epoch = seen;
  }

  async function refresh(): Promise<void> {
    try {
      const policy = await readPolicy(sql);
      noteEpoch(policy.epoch);
      polled = new Set(policy.revoked);
      reachable = true;
    } catch {
      reachable = false; // readiness reports it
    }
    const forgotten = performance.now() - revocationsKeptSeconds * 1000;
    for (const [id, at] of noted) if (at < forgotten) noted.delete(id);
  }

  async function poll(): Promise<void> {
    await refresh();
    if (!closed) timer = setTimeout(() => void poll(), everyMs).unref();
  }
  void poll();

  return {
    epoch: () => epoch,
    isRevoked: (id) => noted.has(id) || polled.has(id),
    reachable: () => reachable,
    refresh,
    noteRevoked(ids) {
      for (const id of ids) noted.set(id, performance.now());
    },
    noteEpoch,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
