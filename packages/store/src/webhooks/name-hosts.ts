import type { Db } from '../client.ts';

/**
 * Writes the host beside new deliveries, up to `limit`; answers how many. The statement that ends a run only says that
 * its end must be told: looking up where to would slow down every run's end.
 */
export async function nameWebhookHosts(db: Db, limit: number): Promise<number> {
  const { count } = await db`
    UPDATE webhook_deliveries d
    -- URLs are stored in normal form; '' for a run that is gone.
    SET host = coalesce((SELECT substring(r.webhook_url FROM '^https?://(\\[[^]]+\\]|[^/:?#]+)') FROM runs r WHERE r.id = d.run_id), '')
    FROM (
      SELECT run_id, attempt FROM webhook_deliveries WHERE due_at IS NOT NULL AND host IS NULL ORDER BY due_at LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    ) new
    WHERE d.run_id = new.run_id AND d.attempt = new.attempt`;
  return count;
}
