import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import type { KeyRing, PolicyWatch } from '@flowstate/security';
import { forgetDeadGateways, publishKeys, withdrawKeys, type KeyUse as PublishedUse, type Sql } from '@flowstate/store';

/** How this gateway uses its signing keys: counted on the way of a request, told to Postgres off it. */
export type KeyUse = {
  noteVerified(kid: string): void;
  /** The ring's current key has signed a token that is good until then (milliseconds since 1970). */
  noteSigned(expiresAt: number): void;
  read(): PublishedUse[];
};

const windowMs = 10 * 60_000;
/** Of the window; a token counts for that much longer at most. */
const sliceMs = 60_000;

export function createKeyUse(ring: KeyRing): KeyUse {
  type Entry = { counted: number; published: number; verifiedAt: Date | null; slices: { at: number; count: number }[] };
  const entries = new Map<string, Entry>(
    ring.kids().map((kid) => [kid, { counted: 0, published: 0, verifiedAt: null, slices: [] }]),
  );
  let signedAt: Date | null = null;
  let expiresAt = 0;

  function readEntry(entry: Entry): Pick<PublishedUse, 'verifiedRecently' | 'verifiedAt'> {
    const now = Date.now();
    const count = entry.counted - entry.published;
    if (count > 0) {
      entry.published = entry.counted;
      entry.verifiedAt = new Date(now);
      const last = entry.slices.at(-1);
      if (last !== undefined && now - last.at < sliceMs) last.count += count;
      else entry.slices.push({ at: now, count });
    }
    entry.slices = entry.slices.filter(({ at }) => now - at < windowMs);
    const verifiedRecently = entry.slices.reduce((sum, slice) => sum + slice.count, 0);
    return { verifiedRecently, verifiedAt: entry.verifiedAt };
  }

  return {
    noteVerified(kid) {
      const entry = entries.get(kid);
      if (entry !== undefined) entry.counted += 1;
    },
    noteSigned(until) {
      signedAt = new Date();
      if (until > expiresAt) expiresAt = until;
    },
    read: () =>
      [...entries].map(([kid, entry]) => {
        const signs = kid === ring.current.kid;
        return {
          kid,
          signs,
          ...readEntry(entry),
          signedAt: signs ? signedAt : null,
          expiresAt: signs && expiresAt > 0 ? new Date(expiresAt) : null,
        };
      }),
  };
}

const everyMs = 1_000;
const farewellMs = 2_000;

type Options = { sql: Sql; use: KeyUse; policy: Pick<PolicyWatch, 'readAt'>; log: Logger };

/** Tells Postgres every second, for `flowstate keys status`; a gateway that drains leaves nothing but what it signed. */
export function reportKeyUse({ sql, use, policy, log }: Options): { stop(): Promise<void> } {
  const gateway = { id: crypto.randomUUID(), name: `${hostname()}:${process.pid}` };
  const stopped = new AbortController();

  async function publish(): Promise<void> {
    const policyAt = policy.readAt();
    if (policyAt !== undefined) await publishKeys(sql, gateway, use.read(), policyAt);
  }

  async function report(): Promise<void> {
    let away = false;
    await forgetDeadGateways(sql).catch(() => {}); // the next gateway to start does it
    while (!stopped.signal.aborted) {
      try {
        await publish();
        away = false;
      } catch (err) {
        if (!away) log.warn({ err }, 'use of signing keys could not be told, trying on');
        away = true;
      }
      await wait(everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const reporting = report();
  return {
    async stop() {
      stopped.abort();
      const farewell = reporting.then(publish).then(() => withdrawKeys(sql, gateway));
      // A Postgres that is away or hangs must not hold up the drain; the rows then stand for a gateway that died.
      await Promise.race([farewell, wait(farewellMs, undefined, { ref: false })]).catch((err: unknown) =>
        log.warn({ err }, 'last use of signing keys could not be told'),
      );
    },
  };
}
