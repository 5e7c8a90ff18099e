import type { Db } from '../client.ts';

/**
 * Has the end of a run's last attempt told again, under the same id, with a day of retries before it. False when
 * there is none, or when a try of it is under way.
 */
export async function redeliverWebhook(db: Db, runId: string): Promise<boolean> {
  const { count } = await db`
    UPDATE webhook_deliveries SET state = 'pending', due_at = now(), since = now(), failures = 0
    WHERE run_id = ${runId} AND attempt = (SELECT max(attempt) FROM webhook_deliveries WHERE run_id = ${runId})
      AND (claimed_at IS NULL OR due_at <= now())`;
  return count === 1;
}
