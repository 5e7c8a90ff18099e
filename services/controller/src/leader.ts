import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { createSql, tryLeaderLock } from '@flowstate/store';

const everyMs = 250;

export type Leader = {
  /** Does this controller lead right now? */
  leads(): boolean;
  stop(): Promise<void>;
};

/**
 * One controller does the work, the others stand by: whoever holds an advisory lock in a database session of its own.
 * When the leader dies its session ends, and another has the lock within a quarter of a second. Two that both believe
 * to lead for a moment do no harm: each statement decides for itself, and a duplicate delivery finds its run claimed.
 */
export function createLeader(databaseUrl: string, log: Logger): Leader {
  const session = createSql(databaseUrl, { name: 'flowstate-leader', max: 1, keepAlive: true });
  const stopped = new AbortController();
  let leading = false;

  async function stand(): Promise<void> {
    while (!stopped.signal.aborted) {
      const held = await tryLeaderLock(session).catch(() => false);
      if (held !== leading) log.info({ leading: held }, held ? 'leading now' : 'no longer leading');
      leading = held;
      await wait(everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
    leading = false;
  }
  const standing = stand();

  return {
    leads: () => leading,
    async stop() {
      stopped.abort();
      await standing;
      await session.end({ timeout: 1 });
    },
  };
}
