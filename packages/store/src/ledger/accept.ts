import type { QueueName, Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** A run as the gateway hands it to the ledger; `input` is JSON text. */
export type AcceptedRun = {
  id: string;
  workflowId: number;
  queue: QueueName;
  principalId: string;
  role: Role;
  priority: number;
  tags: string[];
  input: string;
  webhookUrl: string | null;
  trace: string | null;
  /** The run that started it as its child. */
  parentId?: string | null;
  /** The schedule that started it. */
  scheduleId?: string | null;
  /** Runs of one workflow that share a key count against its cap per key. */
  concurrencyKey?: string | null;
  /** A cap applies to it: only the feeder hands it to the queue. */
  capped?: boolean;
  /** The caller hands it to the queue itself, right after this; else the feeder does when its time comes. */
  direct?: boolean;
  /** Milliseconds from now until it may start. */
  delayMs: number;
  /** Milliseconds from now after which it ends as cancelled, wherever it stands; null: never. */
  ttlMs?: number | null;
  /** Policy epoch of the decision that let it in; without one, its authority is decided anew when it is claimed. */
  epoch?: number | null;
  /** Incarnation that runs it at once, without the queue (a worker's own probe); null otherwise. */
  owner: number | null;
};

export type IdempotencyKey = { route: string; key: string; bodyHash: string };

export type Acceptance = { id: string; createdAt: Date };

/** For so long a key is kept, and stands for its run. */
export const keyLifetime = '24 hours';

/** Commits a batch of runs in one statement: the row that lives, and the one that stays. */
export async function acceptRuns(db: Db, runs: AcceptedRun[]): Promise<Acceptance[]> {
  const rows = await db<{ id: string; created_at: Date }[]>`
    WITH input AS (${inputRows(db, runs)}),
    live AS (${insertLive(db)} FROM input)
    ${insertRun(db)} FROM input
    RETURNING id, created_at`;
  const created = new Map(rows.map((row) => [row.id, row.created_at]));
  return runs.map(({ id }) => ({ id, createdAt: created.get(id) ?? new Date() }));
}

export type KeyedAcceptance = { run: Acceptance; replayed: boolean } | { conflict: true };

/**
 * Commits one run under its idempotency key. Of two at once one wins; the other waits for it and then finds the
 * winner's run (or, with another body, a conflict). Keys are forgotten after 24 hours.
 */
export async function acceptKeyedRun(db: Db, run: AcceptedRun, key: IdempotencyKey): Promise<KeyedAcceptance> {
  const [fresh] = await db<{ id: string; created_at: Date }[]>`
    WITH input AS (${inputRows(db, [run])}),
    taken AS (
      INSERT INTO idempotency (principal_id, route, key, body_hash, run_id)
      SELECT principal_id, ${key.route}, ${key.key}, ${key.bodyHash}, id FROM input
      ON CONFLICT (principal_id, route, key) DO UPDATE
        SET body_hash = excluded.body_hash, run_id = excluded.run_id, created_at = now()
        WHERE idempotency.created_at < now() - ${keyLifetime}::interval
      RETURNING run_id
    ),
    live AS (${insertLive(db)} FROM input JOIN taken ON run_id = id)
    ${insertRun(db)} FROM input JOIN taken ON run_id = id
    RETURNING id, created_at`;
  if (fresh) return { run: { id: fresh.id, createdAt: fresh.created_at }, replayed: false };

  // The loser's own statement cannot see the row it waited for: a second snapshot can.
  const earlier = await acceptedUnderKey(db, run.principalId, key);
  if (earlier === null) return { conflict: true };
  return { run: earlier, replayed: true };
}

/** The run that was accepted under this key and body in the last 24 hours, or null. */
export async function acceptedUnderKey(
  db: Db,
  principalId: string,
  { route, key, bodyHash }: IdempotencyKey,
): Promise<Acceptance | null> {
  const [earlier] = await db<Acceptance[]>`
    SELECT run_id AS id, created_at AS "createdAt" FROM idempotency
    WHERE principal_id = ${principalId} AND route = ${route} AND key = ${key} AND body_hash = ${bodyHash}
      AND created_at >= now() - ${keyLifetime}::interval`;
  return earlier ?? null;
}

/** The row that lives, from `input`. */
function insertLive(db: Db) {
  return db`
    INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, parent_id, concurrency_key, capped, webhook,
                          owner, state, started_at, ready_at, due_at, expires_at, schedule_id)
    SELECT id, queue, priority, workflow_id, principal_id, parent_id, concurrency_key, capped, webhook_url IS NOT NULL,
           owner, CASE WHEN owner IS NULL THEN 'queued' ELSE 'running' END, CASE WHEN owner IS NOT NULL THEN now() END,
           now() + delay_ms * interval '1 millisecond',
           CASE WHEN NOT direct AND owner IS NULL THEN now() + delay_ms * interval '1 millisecond' END,
           now() + ttl_ms * interval '1 millisecond', schedule_id`;
}

/** The row that stays, from `input`. */
function insertRun(db: Db) {
  return db`
    INSERT INTO runs (id, workflow_id, principal_id, role, priority, tags, input, webhook_url, trace, parent_id,
                      concurrency_key, expires_at, schedule_id, epoch)
    SELECT id, workflow_id, principal_id, role, priority, tags, input, webhook_url, trace, parent_id,
           concurrency_key, now() + ttl_ms * interval '1 millisecond', schedule_id, epoch`;
}

function inputRows(db: Db, runs: AcceptedRun[]) {
  // Sorted, so that statements of several gateways lock in one order.
  const rows = runs.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return db`
    SELECT id, workflow_id, queue, principal_id, role, priority,
           -- Most have none, and a subquery for each row costs more than the row.
           CASE WHEN tags = '[]' THEN '{}'::text[] ELSE ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) END AS tags,
           input, webhook_url, trace, parent_id,
           concurrency_key, capped = 1 AS capped, direct = 1 AS direct, delay_ms, ttl_ms, owner,
           schedule_id, epoch
    FROM unnest(
      ${rows.map((r) => r.id)}::uuid[], ${rows.map((r) => r.workflowId)}::int[], ${rows.map((r) => r.queue)}::text[],
      ${rows.map((r) => r.principalId)}::uuid[], ${rows.map((r) => r.role)}::text[],
      ${rows.map((r) => r.priority)}::int[], ${rows.map((r) => JSON.stringify(r.tags))}::text[],
      ${rows.map((r) => r.input)}::text[], ${rows.map((r) => r.webhookUrl)}::text[],
      ${rows.map((r) => r.trace)}::text[], ${rows.map((r) => r.parentId ?? null)}::uuid[],
      ${rows.map((r) => r.concurrencyKey ?? null)}::text[], ${rows.map((r) => Number(r.capped ?? false))}::int[],
      ${rows.map((r) => Number(r.direct ?? false))}::int[], ${rows.map((r) => r.delayMs)}::float8[],
      ${rows.map((r) => r.ttlMs ?? null)}::float8[], ${rows.map((r) => r.owner)}::int[],
      ${rows.map((r) => r.scheduleId ?? null)}::uuid[], ${rows.map((r) => r.epoch ?? null)}::bigint[]
    ) AS t(id, workflow_id, queue, principal_id, role, priority, tags, input, webhook_url, trace, parent_id,
           concurrency_key, capped, direct, delay_ms, ttl_ms, owner, schedule_id, epoch)`;
}
