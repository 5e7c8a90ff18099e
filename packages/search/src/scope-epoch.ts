import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { createSharedReads } from '@flowstate/store';
import type { Redis } from 'ioredis';

/** Another value after every change of what searches may read: who sees which collections, and their versions. */
const key = 'flowstate:search-epoch';
/** After these Redis may be another server, or the same one without its last writes. */
const doubts = ['close', 'ready', '+node', '-node', 'node error', 'refresh'];

/** Milliseconds for which what was read in Postgres is believed at most, while the epoch says that it holds. */
export const scopeLeaseMs = 1_000;

export type ScopeEpoch = {
  /** The epoch now: what Postgres says from here on holds as long as it is the same. Undefined: it is not known. */
  read(): Promise<string | undefined>;
  /**
   * After the commit of a change, before it is answered: when this resolves, no process believes what was before. Where
   * Redis cannot tell them it waits until each has forgotten by itself.
   */
  changed(): Promise<void>;
};

/**
 * Tells all gateways, through Redis, that what they know of collections is of yesterday; then they ask Postgres. It
 * only ever says "changed": a Redis that was wiped, evicted the key or went back in time is no reason to believe
 * anything for longer than `scopeLeaseMs`.
 */
export function createScopeEpoch(redis: Redis): ScopeEpoch {
  const reads = createSharedReads<string | undefined>();
  let connection = 0;
  for (const event of doubts) redis.on(event, () => (connection += 1));

  async function read(): Promise<string | undefined> {
    const asked = connection;
    try {
      const value = await redis.get(key);
      if (value === null) await redis.set(key, randomUUID(), 'NX');
      return value === null || asked !== connection ? undefined : `${connection} ${value}`;
    } catch {
      return undefined;
    }
  }

  return {
    read: () => reads.of(key, read),
    async changed() {
      const told = new AbortController();
      redis.set(key, randomUUID()).then(
        () => told.abort(),
        () => {},
      );
      await wait(scopeLeaseMs, undefined, { signal: told.signal }).catch(() => {});
    },
  };
}
