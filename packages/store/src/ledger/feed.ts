import type { Delivery } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';

/**
 * Takes runs out of the ledger's line, in the order given; the caller adds their jobs. `capped`: a cap applies to the
 * run as things are now, so it counts as in flight until it ends, waits or stands in line again.
 */
export async function handOver(db: Db, runs: readonly { id: string; capped: boolean }[]): Promise<Delivery[]> {
  const rows = await db<Delivery[]>`
    UPDATE run_live l SET due_at = NULL, capped = i.capped = 1
    FROM unnest(${runs.map((run) => run.id)}::uuid[], ${runs.map((run) => Number(run.capped))}::int[]) AS i(id, capped)
    WHERE l.id = i.id AND l.state = 'queued' AND l.owner IS NULL AND l.due_at <= now()
    RETURNING ${deliveryColumns(db, 'l')}`;
  const taken = new Map(rows.map((delivery) => [delivery.runId, delivery]));
  return runs.flatMap(({ id }) => taken.get(id) ?? []);
}
