import type { Db } from '../client.ts';

/** Deliveries that are neither delivered nor given up, and how long the oldest of them has been (seconds; 0: none). */
export async function webhookBacklog(db: Db): Promise<{ pending: number; oldestSeconds: number }> {
  const [row] = await db<{ pending: number; oldest: number }[]>`
    SELECT count(*)::int AS pending, coalesce(extract(epoch FROM now() - min(since)), 0)::float8 AS oldest
    FROM webhook_deliveries WHERE due_at IS NOT NULL`;
  return { pending: row?.pending ?? 0, oldestSeconds: row?.oldest ?? 0 };
}
