import type { Delivery } from '@flowstate/contracts';
import { advisoryLocks } from '../advisory-locks.ts';
import type { Db } from '../client.ts';
import { deliveryColumns } from './deliveries.ts';

/**
 * Until the transaction ends nobody else feeds: of two that both believe to lead for a moment the second counts what
 * the first has handed over.
 */
export async function lockFeeding(tx: Db): Promise<void> {
  await tx`SELECT pg_advisory_xact_lock(${advisoryLocks.feeding})`;
}

/**
 * Takes runs out of the ledger's line, in the order given; the caller adds their jobs. `capped`: a cap applies to the
 * run as things are now, so it counts as in flight until it ends, waits or stands in line again.
 */
export async function handOver(db: Db, runs: readonly { id: string; capped: boolean }[]): Promise<Delivery[]> {
  if (runs.length === 0) return [];
  const rows = await db<Delivery[]>`
    UPDATE run_live l SET due_at = NULL, capped = l.id = ANY(${idsOf(runs.filter(({ capped }) => capped))}::uuid[])
    WHERE l.id = ANY(${idsOf(runs)}::uuid[]) AND l.state = 'queued' AND l.owner IS NULL
      -- Not bare: that would imply what run_live_due indexes, and a plan made while the table was small would walk
      -- through all of that index, for each of the runs.
      AND coalesce(l.due_at <= now(), false)
    RETURNING ${deliveryColumns(db, 'l')}`;
  const taken = new Map(rows.map((delivery) => [delivery.runId, delivery]));
  return runs.flatMap(({ id }) => taken.get(id) ?? []);
}

function idsOf(runs: readonly { id: string }[]): string[] {
  return runs.map(({ id }) => id);
}
