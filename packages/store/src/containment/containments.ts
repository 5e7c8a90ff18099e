import type { Containment } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import type { Quarantined } from './quarantine-runs.ts';

type Row = Omit<Containment, 'runs' | 'containedAt' | 'releasedAt'> &
  Quarantined & { containedAt: Date; releasedAt: Date | null };

/** Containments newest first, older than the one named `before`; by default only those in force. */
export async function listContainments(
  db: Db,
  { all, before, limit }: { all: boolean; before?: string | undefined; limit: number },
): Promise<Containment[]> {
  const rows = await db<Row[]>`
    ${select(db)} WHERE ${all ? db`true` : db`c.released_at IS NULL`}
      ${before === undefined ? db`` : db`AND c.id < ${before}`}
    ORDER BY c.id DESC LIMIT ${limit}`;
  return rows.map(toContainment);
}

/** One containment; null when there is none. */
export async function readContainment(db: Db, id: string): Promise<Containment | null> {
  const [row] = await db<Row[]>`${select(db)} WHERE c.id = ${id}`;
  return row ? toContainment(row) : null;
}

/** Keeps how long it took until the last process obeyed; of calls that repeat it the first that all obeyed counts. */
export async function recordObeyed(db: Db, { id, obeyedMs }: { id: string; obeyedMs: number }): Promise<void> {
  await db`UPDATE containments SET obeyed_ms = coalesce(obeyed_ms, ${obeyedMs}) WHERE id = ${id}`;
}

function select(db: Db) {
  return db`
    SELECT c.id, c.user_id AS "userId", u.email AS user, c.reason, a.email AS author, c.contained_at AS "containedAt",
           c.sessions, c.families, c.keys, c.queued, c.running, c.waiting, c.obeyed_ms AS "obeyedMs",
           c.released_at AS "releasedAt",
           (SELECT coalesce(sum(k.streams), 0)::int FROM containment_acks k WHERE k.containment_id = c.id) AS streams
    FROM containments c JOIN users u ON u.id = c.user_id LEFT JOIN users a ON a.id = c.author_id`;
}

function toContainment({ queued, running, waiting, containedAt, releasedAt, ...row }: Row): Containment {
  return {
    ...row,
    runs: { queued, running, waiting },
    containedAt: containedAt.toISOString(),
    releasedAt: releasedAt?.toISOString() ?? null,
  };
}
