import type { Db } from '../client.ts';

export type StoredFlag = { name: string; value: unknown; reason: string; updatedAt: Date; updatedBy: string | null };

/** Flags that were set; all others have their default. */
export async function listFlags(db: Db): Promise<StoredFlag[]> {
  return db<StoredFlag[]>`
    SELECT f.name, f.value::json AS value, f.reason, f.updated_at AS "updatedAt", u.email AS "updatedBy"
    FROM flags f LEFT JOIN users u ON u.id = f.updated_by ORDER BY f.name`;
}

export async function putFlag(
  db: Db,
  { name, value, reason, updatedBy }: { name: string; value: unknown; reason: string; updatedBy: string },
): Promise<void> {
  await db`
    INSERT INTO flags (name, value, reason, updated_by) VALUES (${name}, ${JSON.stringify(value)}, ${reason}, ${updatedBy})
    ON CONFLICT (name) DO UPDATE
      SET value = excluded.value, reason = excluded.reason, updated_by = excluded.updated_by, updated_at = now()`;
}

/** Back to the default; false when it was not set. */
export async function deleteFlag(db: Db, name: string): Promise<boolean> {
  const rows = await db`DELETE FROM flags WHERE name = ${name} RETURNING name`;
  return rows.length === 1;
}
