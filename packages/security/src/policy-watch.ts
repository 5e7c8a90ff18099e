import { readPolicy, revocationsKeptSeconds, type Policy, type PolicyOverride, type Sql } from '@flowstate/store';

export type PolicyWatch = {
  /** Newest policy epoch known here; undefined until Postgres has answered once. */
  epoch(): number | undefined;
  /** Epoch of the overrides applied here, which may be behind the newest: what is decided now is decided by this one. */
  appliedEpoch(): number | undefined;
  isRevoked(sessionId: string): boolean;
  /** Lockdowns in force; the last ones known while Postgres is away. */
  overrides(): readonly PolicyOverride[];
  /** Containments in force, by the same rule. */
  contained(): Policy['contained'];
  /** Value of a flag that was set; undefined: it has its default. */
  flag(name: string): unknown;
  /** Is this signing key dead for good? */
  isKilledKey(kid: string): boolean;
  /** When the policy applied here was so, by Postgres' clock; undefined until it has answered once. */
  readAt(): Date | undefined;
  /** Resolves when Postgres has answered once, or is known to be away or to hang. */
  started: Promise<void>;
  /** Did Postgres answer, in time, when it was last asked? */
  reachable(): boolean;
  /** Has a question stood unanswered for two seconds? Unlike one that is away, such a Postgres refuses nothing. */
  hangs(): boolean;
  /** Reads the policy now. Resolves whether or not Postgres answered. */
  refresh(): Promise<void>;
  /** Calls back whenever Postgres has answered and the answer is in force here; until the returned function is called. */
  onApplied(listener: () => void): () => void;
  /** What this process did itself counts at once. */
  noteRevoked(sessionIds: readonly string[]): void;
  noteEpoch(epoch: number): void;
  close(): void;
};

/** A quarter of the second within which every gateway obeys; one small query. */
const everyMs = 250;
/** A Postgres that takes longer for it hangs. */
const deadlineMs = 2_000;

/**
 * Keeps this process informed of access changes from Postgres, four times a second. Redis may lose a deletion
 * (restart, failover, outage); a revoked session, a changed role or a lockdown still reaches every gateway this way,
 * through whatever pooler there is (which LISTEN would not).
 */
export function createPolicyWatch(sql: Sql): PolicyWatch {
  let epoch: number | undefined;
  let policy: Pick<Policy, 'overrides' | 'flags' | 'contained'> & { epoch?: number; at?: Date } = {
    overrides: [],
    contained: [],
    flags: {},
  };
  const listeners = new Set<() => void>();
  let polled = new Set<string>();
  let killed = new Set<string>();
  const noted = new Map<string, number>();
  let reachable = false;
  let hanging = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let asked = 0;
  let answered = 0;
  let pending: Promise<void> | undefined;

  function noteEpoch(seen: number): void {
    if (epoch === undefined || seen > epoch) epoch = seen;
  }

  async function ask(): Promise<void> {
    const question = ++asked;
    try {
      const answer = await readPolicy(sql);
      reachable = true;
      noteEpoch(answer.epoch);
      // Of two questions at once, an earlier answer may come later.
      if (question < answered) return;
      answered = question;
      polled = new Set(answer.revoked);
      killed = new Set(answer.killedKeys);
      policy = answer;
      for (const listener of listeners) listener();
    } catch {
      reachable = false; // readiness reports it
    }
  }

  async function poll(): Promise<void> {
    // One that hangs is not asked again and again.
    pending ??= ask().finally(() => {
      pending = undefined;
      hanging = false;
    });
    const late = Promise.withResolvers<void>();
    // In small steps: where this process itself stood still, the answer may be there and only unread.
    let waited = 0;
    let step = setTimeout(function another() {
      waited += everyMs;
      if (waited < deadlineMs) {
        step = setTimeout(another, everyMs).unref();
        return;
      }
      reachable = false;
      hanging = true;
      late.resolve();
    }, everyMs).unref();
    await Promise.race([pending, late.promise]);
    clearTimeout(step);
    const forgotten = performance.now() - revocationsKeptSeconds * 1000;
    for (const [id, at] of noted) if (at < forgotten) noted.delete(id);
    if (!closed) timer = setTimeout(() => void poll(), everyMs).unref();
  }
  const started = poll();

  return {
    epoch: () => epoch,
    appliedEpoch: () => policy.epoch,
    isRevoked: (id) => noted.has(id) || polled.has(id),
    overrides: () => policy.overrides,
    contained: () => policy.contained,
    flag: (name) => (Object.hasOwn(policy.flags, name) ? policy.flags[name] : undefined),
    isKilledKey: (kid) => killed.has(kid),
    readAt: () => policy.at,
    started,
    reachable: () => reachable,
    hangs: () => hanging,
    refresh: ask,
    onApplied(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
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
