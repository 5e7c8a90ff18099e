import { setTimeout as wait } from 'node:timers/promises';
import type { Delivery, RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { nextDispatch, reclaimFromDead, unclaimedRuns, type Sql } from '@flowstate/store';

type Options = {
  sql: Sql;
  queues: RunQueues;
  log: Logger;
  onReclaimed: (runs: number) => void;
  onRedelivered: (runs: number) => void;
};

export type Sweeper = { stop(): Promise<void> };

const reclaimEveryMs = 250;
const redeliverEveryMs = 1_000;
/** After an outage of Postgres workers get this long to show that they live. */
const amnestyMs = 2_000;
const pageSize = 500;
const lowestId = '00000000-0000-0000-0000-000000000000';

/**
 * Redis is disposable, workers die: this loop makes every accepted run reach a worker all the same. Runs of dead
 * workers become ready again; ready runs without a live job are delivered. Several controllers may sweep at once:
 * each statement decides for itself, and a duplicate delivery finds its run claimed.
 */
export function createSweeper({ sql, queues, log, onReclaimed, onRedelivered }: Options): Sweeper {
  const stopped = new AbortController();
  const { signal } = stopped;

  async function reclaim(): Promise<void> {
    const { workers, runs } = await reclaimFromDead(sql);
    if (workers.length === 0) return;
    log.warn({ workers, runs: runs.length }, 'dead workers: their runs go on elsewhere');
    onReclaimed(runs.length);
    await deliver(runs);
  }

  async function redeliver(): Promise<void> {
    let after = lowestId;
    for (;;) {
      const page: Delivery[] = await unclaimedRuns(sql, { after, limit: pageSize });
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.runId;
      const found = await queues.inspect(page);
      const missing = page.filter((_, index) => found[index] === 'missing');
      const spent = page.filter((_, index) => found[index] === 'spent').map(({ runId }) => runId);
      const again = spent.length > 0 ? await nextDispatch(sql, spent) : [];
      await deliver([...missing, ...again]);
    }
  }

  async function deliver(deliveries: Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    await queues.deliver(deliveries);
    onRedelivered(deliveries.length);
    log.info({ runs: deliveries.length }, 'redelivered');
  }

  async function every(periodMs: number, what: string, work: () => Promise<void>): Promise<void> {
    let away = false;
    while (!signal.aborted) {
      try {
        await work();
        away = false;
      } catch (error) {
        if (!away) log.warn({ err: error }, `${what} failed, trying on`);
        away = true;
      }
      await wait(away ? amnestyMs : periodMs, undefined, { signal }).catch(() => {});
    }
  }

  const loops = [every(reclaimEveryMs, 'reclaiming', reclaim), every(redeliverEveryMs, 'redelivering', redeliver)];
  return {
    async stop() {
      stopped.abort();
      await Promise.all(loops);
    },
  };
}
