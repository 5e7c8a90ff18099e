import type { Db } from '../client.ts';

/** Makes the audit log's monthly partitions ahead of time. Two at once wait for each other. */
export async function ensureAuditPartitions(db: Db): Promise<void> {
  await db`SELECT pg_advisory_xact_lock(7310240012), ensure_audit_partitions()`;
}
