import type { LiveWorker, QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** How often a run gave its place back since the worker started, and how long it had held it, all together. */
export type Served = { [queue in QueueName]?: { stays: number; seconds: number } };

export type StoredWorker = Omit<LiveWorker, 'startedAt' | 'heartbeatAt'> & {
  startedAt: Date;
  heartbeatAt: Date;
  served: Served;
};

/** Workers that have not left and were not found dead, the oldest first. */
export async function liveWorkers(db: Db): Promise<StoredWorker[]> {
  return db<StoredWorker[]>`
    SELECT id, host, pid, url, concurrency, started_at AS "startedAt", heartbeat_at AS "heartbeatAt", served
    FROM workers WHERE ended_at IS NULL ORDER BY id`;
}
