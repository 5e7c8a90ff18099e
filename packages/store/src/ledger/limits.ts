import type { Limit, LimitKey, Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** All limits that were set. */
export async function listLimits(db: Db): Promise<Limit[]> {
  return db<Limit[]>`
    SELECT scope, subject, max_concurrent AS "maxConcurrent", max_backlog AS "maxBacklog", weight,
           max_search_limit AS "maxSearchLimit", min_search_threshold AS "minSearchThreshold"
    FROM limits ORDER BY scope, subject`;
}

/** Sets a limit anew; what it does not name is left to the next wider scope. */
export async function putLimit(db: Db, limit: Limit): Promise<void> {
  await db`
    INSERT INTO limits (scope, subject, max_concurrent, max_backlog, weight, max_search_limit, min_search_threshold)
    VALUES (${limit.scope}, ${limit.subject}, ${limit.maxConcurrent}, ${limit.maxBacklog}, ${limit.weight},
            ${limit.maxSearchLimit}, ${limit.minSearchThreshold})
    ON CONFLICT (scope, subject) DO UPDATE SET max_concurrent = excluded.max_concurrent,
      max_backlog = excluded.max_backlog, weight = excluded.weight, max_search_limit = excluded.max_search_limit,
      min_search_threshold = excluded.min_search_threshold, updated_at = now()`;
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
