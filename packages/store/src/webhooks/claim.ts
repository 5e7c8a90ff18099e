import type { Db } from '../client.ts';

/** A delivery that is ours to try once, until its lease ends. */
export type ClaimedDelivery = {
  runId: string;
  attempt: number;
  host: string;
  /** Null when the run is gone. */
  url: string | null;
  /** Number of this try, counted over all redeliveries; the fence of its result. */
  try: number;
  /** Failed tries since the delivery was (re)started. */
  failures: number;
  at: Date;
  /** Milliseconds since it was (re)started. */
  ageMs: number;
};

export type Claim = {
  /** Deliveries under way here. */
  busy: { runId: string; host: string }[];
  perHost: number;
  limit: number;
  /** After this long without a result somebody else may try: longer than any try takes. */
  leaseMs: number;
};

/**
 * Takes due deliveries, of each host at most what it has room for, and counts the try before it is made. What a lost
 * controller had under way is due again when its lease ends; the log says that nobody knows what came of it.
 */
export async function claimDeliveries(db: Db, { busy, perHost, limit, leaseMs }: Claim): Promise<ClaimedDelivery[]> {
  return db<ClaimedDelivery[]>`
    WITH RECURSIVE hosts (host) AS (
      (SELECT host FROM webhook_deliveries WHERE due_at IS NOT NULL AND host IS NOT NULL ORDER BY host LIMIT 1)
      UNION ALL
      SELECT (
        SELECT d.host FROM webhook_deliveries d WHERE d.due_at IS NOT NULL AND d.host > h.host ORDER BY d.host LIMIT 1
      ) FROM hosts h WHERE h.host IS NOT NULL
    ),
    due AS (
      SELECT d.* FROM hosts h, LATERAL (
        SELECT run_id, attempt, tries, claimed_at, due_at FROM webhook_deliveries
        WHERE host = h.host AND due_at <= now() AND run_id <> ALL(${busy.map(({ runId }) => runId)}::uuid[])
        ORDER BY due_at
        LIMIT greatest(${perHost}::int
          - (SELECT count(*) FROM unnest(${busy.map(({ host }) => host)}::text[]) b WHERE b = h.host), 0)
        FOR UPDATE SKIP LOCKED
      ) d
      ORDER BY d.due_at LIMIT ${limit}
    ),
    lost AS (
      INSERT INTO webhook_tries (run_id, attempt, try, at, error)
      SELECT run_id, attempt, tries, claimed_at, 'Its controller was lost: nobody knows whether it arrived'
      FROM due WHERE claimed_at IS NOT NULL
      ON CONFLICT DO NOTHING
    ),
    claimed AS (
      UPDATE webhook_deliveries d
      SET tries = d.tries + 1, claimed_at = now(), due_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
      FROM due WHERE d.run_id = due.run_id AND d.attempt = due.attempt
      RETURNING d.*
    )
    SELECT c.run_id AS "runId", c.attempt, c.host, r.webhook_url AS url, c.tries AS try, c.failures, c.claimed_at AS at,
           (extract(epoch FROM now() - c.since) * 1000)::float8 AS "ageMs"
    FROM claimed c LEFT JOIN runs r ON r.id = c.run_id`;
}
