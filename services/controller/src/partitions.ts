import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { ensureAuditPartitions, ensureLedgerPartitions, type Sql } from '@flowstate/store';

const everyMs = 3_600_000;

/** Makes the ledger's weekly and the audit log's monthly partitions ahead of time, hourly. */
export function createPartitionKeeper(sql: Sql, log: Logger): { stop(): Promise<void> } {
  const stopped = new AbortController();
  async function keep(): Promise<void> {
    while (!stopped.signal.aborted) {
      for (const ensure of [ensureLedgerPartitions, ensureAuditPartitions]) {
        await ensure(sql).catch((err: unknown) => log.error({ err }, 'partitions could not be made'));
      }
      await wait(everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const keeping = keep();
  return {
    stop() {
      stopped.abort();
      return keeping;
    },
  };
}
