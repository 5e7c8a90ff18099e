import type { Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** The role by which each of these sessions, API keys and runs acts now; what is good no more is left out. */
export async function readStanding(
  db: Db,
  { sessions, keys, runs }: Record<'sessions' | 'keys' | 'runs', readonly string[]>,
): Promise<Map<string, Role>> {
  const rows = await db<{ id: string; role: Role }[]>`
    SELECT s.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY(${sessions}::uuid[]) AND s.revoked_at IS NULL AND s.expires_at > now() AND NOT u.barred
    UNION ALL
    SELECT k.id, u.role FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE k.id = ANY(${keys}::uuid[]) AND k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true) AND NOT u.barred
    UNION ALL
    SELECT l.id, u.role FROM run_live l JOIN users u ON u.id = l.principal_id
    WHERE l.id = ANY(${runs}::uuid[]) AND l.owner IS NOT NULL AND NOT u.barred`;
  return new Map(rows.map(({ id, role }) => [id, role]));
}
