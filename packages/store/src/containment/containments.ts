import type { Db } from '../client.ts';
import type { Quarantined } from './quarantine-runs.ts';

/** A containment as it is on record. */
export type StoredContainment = Quarantined & {
  id: string;
  userId: string;
  user: string;
  reason: string;
  /** Null: by the command line, without a gateway. */
  author: string | null;
  containedAt: Date;
  sessions: number;
  families: number;
  keys: number;
  streams: number;
  /** Milliseconds until the last process obeyed; null: not measured, or one did not answer in time. */
  obeyedMs: number | null;
  releasedAt: Date | null;
};

/** Containments newest first, older than the one named `before`; by default only those in force. */
export async function listContainments(
  db: Db,
  { all, before, limit }: { all: boolean; before?: string | undefined; limit: number },
): Promise<StoredContainment[]> {
  return db<StoredContainment[]>`
    ${select(db)} WHERE ${all ? db`true` : db`c.released_at IS NULL`}
      ${before === undefined ? db`` : db`AND c.id < ${before}`}
    ORDER BY c.id DESC LIMIT ${limit}`;
}

/** One containment; null when there is none. */
export async function readContainment(db: Db, id: string): Promise<StoredContainment | null> {
  const [row] = await db<StoredContainment[]>`${select(db)} WHERE c.id = ${id}`;
  return row ?? null;
}

/** Keeps how long it took until the last process obeyed. */
export async function recordObeyed(db: Db, { id, obeyedMs }: { id: string; obeyedMs: number | null }): Promise<void> {
  await db`UPDATE containments SET obeyed_ms = ${obeyedMs} WHERE id = ${id}`;
}

function select(db: Db) {
  return db`
    SELECT c.id, c.user_id AS "userId", u.email AS user, c.reason, a.email AS author, c.contained_at AS "containedAt",
           c.sessions, c.families, c.keys, c.queued, c.running, c.waiting, c.obeyed_ms AS "obeyedMs",
           c.released_at AS "releasedAt",
           (SELECT coalesce(sum(k.streams), 0)::int FROM containment_acks k WHERE k.containment_id = c.id) AS streams
    FROM containments c JOIN users u ON u.id = c.user_id LEFT JOIN users a ON a.id = c.author_id`;
}
