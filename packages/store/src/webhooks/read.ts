import { webhookId, type RunWebhook, type WebhookState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

const deliveriesShown = 20;
const triesShown = 50;

type Row = {
  url: string | null;
  deliveries:
    | {
        attempt: number;
        state: WebhookState;
        created_at: string;
        tries: number;
        next_try_at: string | null;
        log: { at: string; status: number | null; duration_ms: number | null; error: string | null }[] | null;
      }[]
    | null;
};

/** What became of telling a run's ends, with the latest tries; null for a run nobody wants to be told of. */
export async function readWebhook(db: Db, runId: string): Promise<RunWebhook | null> {
  const [row] = await db<Row[]>`
    SELECT r.webhook_url AS url, (
      SELECT json_agg(to_json(d) ORDER BY attempt DESC) FROM (
        SELECT attempt, state, created_at, tries,
          CASE WHEN claimed_at IS NULL OR due_at <= now() THEN due_at END AS next_try_at,
          (
            SELECT json_agg(to_json(t) ORDER BY t.try DESC) FROM (
              SELECT try, at, status, duration_ms, error FROM webhook_tries t
              WHERE t.run_id = d.run_id AND t.attempt = d.attempt ORDER BY try DESC LIMIT ${triesShown}
            ) t
          ) AS log
        FROM webhook_deliveries d WHERE d.run_id = r.id ORDER BY attempt DESC LIMIT ${deliveriesShown}
      ) d
    ) AS deliveries
    FROM runs r WHERE r.id = ${runId}`;
  if (row === undefined || row.url === null) return null;
  return {
    endpoint: new URL(row.url).origin,
    deliveries: (row.deliveries ?? []).map((d) => ({
      id: webhookId(runId, d.attempt),
      attempt: d.attempt,
      state: d.state,
      createdAt: iso(d.created_at),
      nextTryAt: d.next_try_at === null ? null : iso(d.next_try_at),
      tries: d.tries,
      log: (d.log ?? []).map(({ at, status, duration_ms: durationMs, error }) => ({
        at: iso(at),
        status,
        durationMs,
        error,
      })),
    })),
  };
}

function iso(timestamp: string): string {
  return new Date(timestamp).toISOString();
}
