import type { Interaction, InteractionInput } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { keysOf } from './any-id.ts';
import { outcomeOf, toBatch, type UpsertOutcome, type WrittenRow } from './batch.ts';

/**
 * Stores interactions by external id, which must differ within `rows`; what a row does not say becomes null. Answers
 * in the order of `rows`; a row whose customer is not there is not stored.
 */
export async function upsertInteractions(db: Db, rows: readonly InteractionInput[]): Promise<UpsertOutcome[]> {
  const written = await db<WrittenRow[]>`
    WITH input AS MATERIALIZED (
      SELECT r.*, c.id AS customer_id FROM json_to_recordset(${toBatch(rows)}::text::json) AS r(
        n int, id uuid, "externalId" text, customer text, ours uuid, thread text, channel text, direction text,
        at timestamptz, author text, subject text, text text)
      LEFT JOIN LATERAL (
        SELECT id FROM customers WHERE id = r.ours OR external_id = r.customer ORDER BY id = r.ours DESC NULLS LAST LIMIT 1
      ) c ON true
    ), written AS (
      INSERT INTO interactions AS i (id, external_id, customer_id, thread, channel, direction, at, author, subject, text)
      SELECT id, "externalId", customer_id, thread, channel, direction, at, author, subject, text
      FROM input WHERE customer_id IS NOT NULL ORDER BY "externalId"
      ON CONFLICT (external_id) DO UPDATE SET
        customer_id = excluded.customer_id, thread = excluded.thread, channel = excluded.channel,
        direction = excluded.direction, at = excluded.at, author = excluded.author, subject = excluded.subject,
        text = excluded.text, updated_at = now()
      WHERE (i.customer_id, i.thread, i.channel, i.direction, i.at, i.author, i.subject, i.text)
        IS DISTINCT FROM (excluded.customer_id, excluded.thread, excluded.channel, excluded.direction, excluded.at,
                          excluded.author, excluded.subject, excluded.text)
      RETURNING id, external_id
    )
    SELECT i.id, w.id AS "writtenId", i.customer_id IS NOT NULL AS known
    FROM input i LEFT JOIN written w ON w.external_id = i."externalId" ORDER BY i.n`;
  return written.map(outcomeOf);
}

/** One interaction by our id or its external id; null when there is none. */
export async function findInteraction(db: Db, anyId: string): Promise<Interaction | null> {
  const { id, externalId } = keysOf(anyId);
  const [row] = await db<Row[]>`
    ${interactions(db)} WHERE i.id = ${id} OR i.external_id = ${externalId} ORDER BY i.id = ${id} DESC NULLS LAST LIMIT 1`;
  return row === undefined ? null : toInteraction(row);
}

export type InteractionFilter = {
  customerId?: string | undefined;
  /** Only those at this time or later (ISO 8601). */
  since?: string | undefined;
  /** The last one seen. */
  before?: { at: string; id: string } | undefined;
  limit: number;
};

/** Newest first by when they took place. */
export async function listInteractions(db: Db, filter: InteractionFilter): Promise<Interaction[]> {
  const { customerId, since, before, limit } = filter;
  const rows = await db<Row[]>`
    ${interactions(db)} WHERE true
      ${customerId === undefined ? db`` : db`AND i.customer_id = ${customerId}`}
      ${since === undefined ? db`` : db`AND i.at >= ${since}`}
      ${before === undefined ? db`` : db`AND (i.at, i.id) < (${before.at}, ${before.id})`}
    ORDER BY i.at DESC, i.id DESC LIMIT ${limit}`;
  return rows.map(toInteraction);
}

type Row = Omit<Interaction, 'at'> & { at: Date };

function interactions(db: Db) {
  return db`
    SELECT i.id, i.external_id AS "externalId", c.external_id AS customer, thread, channel, direction, at, author,
           subject, text
    FROM interactions i JOIN customers c ON c.id = i.customer_id`;
}

function toInteraction(row: Row): Interaction {
  return { ...row, at: row.at.toISOString() };
}
