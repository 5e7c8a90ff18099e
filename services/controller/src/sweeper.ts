import { lowestId } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import {
  postgresTime,
  reclaimFromDead,
  reclaimStrays,
  recordParked,
  returnToFeeder,
  undeliveredRuns,
  type Db,
  type Sql,
} from '@flowstate/store';

type Options = {
  sql: Sql;
  queues: RunQueues;
  log: Logger;
  onReclaimed: (runs: number) => void;
  onReturned: (runs: number) => void;
  /** Milliseconds of Postgres' time between two looks after which nobody is judged for a while. */
  gapMs?: number;
  amnestyMs?: number;
};

const pageSize = 500;

/** Redis is disposable, workers die: this makes every accepted run reach a worker all the same. */
export function createSweeper(options: Options) {
  const { sql, queues, log, onReclaimed, onReturned, gapMs = 5_000, amnestyMs = 2_000 } = options;
  let lookedAt: number | undefined;
  let judgesFrom = 0;

  /**
   * Time has gone by for Postgres in which nobody was served, or its clock was set: then all heartbeats are old, and
   * those who live need a moment to show it.
   */
  async function mayJudge(tx: Db): Promise<boolean> {
    const now = (await postgresTime(tx)).getTime();
    const since = now - (lookedAt ?? now);
    lookedAt = now;
    if (since > gapMs || since < 0) judgesFrom = now + amnestyMs;
    return now >= judgesFrom;
  }

  return {
    /** Runs of dead workers become ready again, as suspects; those that outlived too many wait for a person. */
    async reclaim(): Promise<void> {
      const { workers, runs, parked } = await sql.begin(async (tx) => {
        // The rest goes by the same time, that of the transaction's start, however long it has to wait.
        if (!(await mayJudge(tx))) return { workers: [], runs: [], parked: [] };
        const reclaimed = await reclaimFromDead(tx);
        // In its transaction: nobody would come back for the event of a run that is parked already.
        for (const runId of reclaimed.parked) {
          await recordParked(tx, runId, { reason: 'Its workers died with it', step: '' });
        }
        return reclaimed;
      });
      if (workers.length === 0) return;
      log.warn({ workers, runs: runs.length, parked }, 'dead workers: their runs go on elsewhere');
      onReclaimed(runs.length);
      if (runs.length > 0) await queues.deliver(runs);
    },

    /** Runs whose job the queue does not have (any more), and those of workers long ended, stand in line again. */
    async findUndelivered(): Promise<void> {
      const strays = await reclaimStrays(sql);
      if (strays > 0) log.warn({ runs: strays }, 'runs of ended workers: to be delivered again');
      let after = lowestId;
      for (;;) {
        const page = await undeliveredRuns(sql, { after, limit: pageSize });
        const last = page.at(-1);
        if (last === undefined) return;
        after = last.runId;
        const found = await queues.inspect(page);
        const those = (state: string) => page.filter((_, index) => found[index] === state).map(({ runId }) => runId);
        const [missing, spent] = [those('missing'), those('spent')];
        if (missing.length + spent.length === 0) continue;
        const runs = await returnToFeeder(sql, { missing, spent });
        onReturned(runs);
        log.info({ runs }, 'without a job: to be delivered again');
      }
    },
  };
}
