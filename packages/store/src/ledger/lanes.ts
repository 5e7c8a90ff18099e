import { setTimeout as wait } from 'node:timers/promises';
import type { Delivery, Lane } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { liveBundles, type Bundle } from './workers.ts';

const pollMs = 1_000;

/** Which of a queue's lanes a delivery takes; null: no live worker carries its version, it waits in the ledger. */
export type LaneOf = (delivery: Pick<Delivery, 'workflowId' | 'suspect'>) => Lane | null;

export type Lanes = {
  laneOf: LaneOf;
  /** Ids of workflow versions that some live worker carries. */
  carried(): number[];
  bundles(): string[];
  /** Runs that all live workers take at a time, of each queue. */
  concurrency(): number;
  /** Reads anew; else once a second. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
};

/**
 * The lanes as the live workers make them. What all of them carry takes the common lane; during a rolling deploy a
 * version that only some carry takes the lane of their bundle, so that no job travels between workers that cannot
 * run it. With no worker at all everything takes the common lane. The claim decides in the end: a view a second old
 * sends a job astray at worst, and the sweeper sends it again.
 */
export function createLanes(sql: Sql, onError: (error: unknown) => void): Lanes {
  let bundles: Bundle[] = [];
  const stopped = new AbortController();

  async function refresh(): Promise<void> {
    bundles = await liveBundles(sql);
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      await refresh().catch(onError);
      await wait(pollMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const polling = poll();

  function laneOf({ workflowId, suspect }: Pick<Delivery, 'workflowId' | 'suspect'>): Lane | null {
    const carriers = bundles.filter(({ carries }) => carries.includes(workflowId));
    if (bundles.length > 0 && carriers.length === 0) return null;
    if (suspect) return 'suspects';
    return carriers.length === bundles.length ? 'common' : { bundle: (carriers[0] as Bundle).bundle };
  }

  return {
    laneOf,
    carried: () => [...new Set(bundles.flatMap(({ carries }) => carries))],
    bundles: () => bundles.map(({ bundle }) => bundle),
    concurrency: () => bundles.reduce((sum, { concurrency }) => sum + concurrency, 0),
    refresh,
    async stop() {
      stopped.abort();
      await polling;
    },
  };
}
