import type { QueueName, ScalingOverride } from '@flowstate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { Db } from '../client.ts';

export type NewScalingOverride = {
  queue: QueueName;
  min: number | null;
  max: number | null;
  reason: string;
  authorId: string;
  /** Seconds until it ends by itself. */
  seconds: number;
};

type Row = Omit<ScalingOverride, 'createdAt' | 'expiresAt'> & { createdAt: Date; expiresAt: Date };

const columns = (db: Db) => db`
  o.id, o.queue, o.min_workers AS min, o.max_workers AS max, o.reason, u.email AS author, o.created_at AS "createdAt",
  o.expires_at AS "expiresAt"`;

/** Puts an override in force; one that the queue has already ends by it. */
export async function insertScalingOverride(db: Db, override: NewScalingOverride): Promise<ScalingOverride> {
  const { queue, min, max, reason, authorId, seconds } = override;
  await releaseScalingOverrides(db, { queue, releasedBy: authorId });
  const [row] = await db<Row[]>`
    WITH o AS (
      INSERT INTO scaling_overrides (id, queue, min_workers, max_workers, reason, author_id, expires_at)
      VALUES (${uuidv7()}, ${queue}, ${min}, ${max}, ${reason}, ${authorId}, now() + ${seconds} * interval '1 second')
      RETURNING *
    )
    SELECT ${columns(db)} FROM o JOIN users u ON u.id = o.author_id`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return shown(row);
}

/** Those in force; of two that were set at the same moment the later one counts. */
export async function scalingOverrides(db: Db): Promise<Map<QueueName, ScalingOverride>> {
  const rows = await db<Row[]>`
    SELECT ${columns(db)} FROM scaling_overrides o JOIN users u ON u.id = o.author_id
    WHERE o.released_at IS NULL AND o.expires_at > now() ORDER BY o.id`;
  return new Map(rows.map((row) => [row.queue, shown(row)]));
}

/** Ends those in force, of one queue or all; returns the queues that had one. */
export async function releaseScalingOverrides(
  db: Db,
  { queue, releasedBy }: { queue?: QueueName | undefined; releasedBy: string },
): Promise<QueueName[]> {
  const rows = await db<{ queue: QueueName }[]>`
    UPDATE scaling_overrides SET released_at = now(), released_by = ${releasedBy}
    WHERE released_at IS NULL AND expires_at > now() ${queue === undefined ? db`` : db`AND queue = ${queue}`}
    RETURNING queue`;
  return [...new Set(rows.map((row) => row.queue))];
}

function shown({ createdAt, expiresAt, ...rest }: Row): ScalingOverride {
  return { ...rest, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() };
}
