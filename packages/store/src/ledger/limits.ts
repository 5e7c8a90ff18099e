import type { Limit, LimitKey, Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** All limits that were set. */
export async function listLimits(db: Db): Promise<Limit[]> {
  return db<Limit[]>`
    SELECT scope, subject, max_concurrent AS "maxConcurrent", max_backlog AS "maxBacklog", weight
    FROM limits ORDER BY scope, subject`;
}

/** Sets a limit anew; what it does not name is left to the next wider scope. */
export async function putLimit(db: Db, { scope, subject, maxConcurrent, maxBacklog, weight }: Limit): Promise<void> {
  await db`
    INSERT INTO limits (scope, subject, max_concurrent, max_backlog, weight)
    VALUES (${scope}, ${subject}, ${maxConcurrent}, ${maxBacklog}, ${weight})
    ON CONFLICT (scope, subject) DO UPDATE SET max_concurrent = excluded.max_concurrent,
      max_backlog = excluded.max_backlog, weight = excluded.weight, updated_at = now()`;
}

/** False when there was none. */
export async function deleteLimit(db: Db, { scope, subject }: LimitKey): Promise<boolean> {
  const rows = await db`DELETE FROM limits WHERE scope = ${scope} AND subject = ${subject} RETURNING scope`;
  return rows.length === 1;
}

/** Roles of those of `ids` that are users. */
export async function rolesOf(db: Db, ids: readonly string[]): Promise<Map<string, Role>> {
  const rows = await db<{ id: string; role: Role }[]>`SELECT id, role FROM users WHERE id = ANY(${ids}::uuid[])`;
  return new Map(rows.map(({ id, role }) => [id, role]));
}
