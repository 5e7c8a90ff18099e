import type { Db } from '../client.ts';

/** Makes the weekly partitions of the coming month where they are missing. Two at once wait for each other. */
export async function ensureLedgerPartitions(db: Db): Promise<void> {
  await db`SELECT pg_advisory_xact_lock(7310240003), ensure_ledger_partitions()`;
}
