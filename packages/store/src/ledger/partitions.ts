import { advisoryLocks } from '../advisory-locks.ts';
import type { Db } from '../client.ts';

/** Makes the weekly partitions of the coming month where they are missing. Two at once wait for each other. */
export async function ensureLedgerPartitions(db: Db): Promise<void> {
  await db`SELECT pg_advisory_xact_lock(${advisoryLocks.ledgerPartitions}), ensure_ledger_partitions()`;
}
