import { advisoryLocks } from '../advisory-locks.ts';
import type { Db } from '../client.ts';

/** Makes the audit log's monthly partitions ahead of time. Two at once wait for each other. */
export async function ensureAuditPartitions(db: Db): Promise<void> {
  await db`SELECT pg_advisory_xact_lock(${advisoryLocks.auditPartitions}), ensure_audit_partitions()`;
}
