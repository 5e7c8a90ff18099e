import type { Db } from '../client.ts';
import type { ClaimedDelivery } from './claim.ts';

export type TryResult = {
  /** Of the answer; null when there was none. */
  status: number | null;
  durationMs: number;
  /** Null: it is delivered. */
  error: string | null;
  /** What comes next: settled, or another try in so many milliseconds. */
  next: 'delivered' | 'given_up' | { retryInMs: number };
};

type Tried = Pick<ClaimedDelivery, 'runId' | 'attempt' | 'try' | 'at'>;

/** Logs a try and settles its delivery or plans the next one. A result whose lease was taken over is only logged. */
export async function recordTry(db: Db, tried: Tried, { status, durationMs, error, next }: TryResult): Promise<void> {
  const { runId, attempt } = tried;
  const [state, retryInMs] = typeof next === 'string' ? [next, null] : ['pending', next.retryInMs];
  await db`
    WITH logged AS (
      INSERT INTO webhook_tries (run_id, attempt, try, at, status, duration_ms, error)
      VALUES (${runId}, ${attempt}, ${tried.try}, ${tried.at}, ${status}, ${Math.round(durationMs)}, ${error})
      ON CONFLICT (run_id, attempt, try) DO UPDATE
        SET status = excluded.status, duration_ms = excluded.duration_ms, error = excluded.error
    )
    UPDATE webhook_deliveries
    SET state = ${state}, claimed_at = NULL, due_at = now() + ${retryInMs}::float8 * interval '1 millisecond',
        failures = failures + ${error === null ? 0 : 1}
    WHERE run_id = ${runId} AND attempt = ${attempt} AND tries = ${tried.try} AND claimed_at IS NOT NULL`;
}
