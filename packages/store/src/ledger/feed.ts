import type { Delivery, QueueName } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';

/** Takes up to `limit` due runs of one queue out of the ledger's waiting line; the caller adds their jobs. */
export async function takeDueRuns(db: Db, { queue, limit }: { queue: QueueName; limit: number }): Promise<Delivery[]> {
  return db<Delivery[]>`
    UPDATE run_live l SET due_at = NULL
    FROM (
      SELECT id FROM run_live WHERE queue = ${queue} AND due_at <= now() AND state = 'queued'
      ORDER BY priority, due_at LIMIT ${limit}
    ) due
    WHERE l.id = due.id AND l.state = 'queued' AND l.owner IS NULL AND l.due_at <= now()
    RETURNING ${deliveryColumns(db, 'l')}`;
}
