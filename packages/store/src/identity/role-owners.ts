import { roles, type Role, type RoleOwner } from '@flowstate/contracts';
import type { Db } from '../client.ts';

type Row = Omit<RoleOwner, 'updatedAt'> & { updatedAt: Date };

/** One entry for each role, in the order of `roles`; `owner` null: nobody was named yet. */
export async function listRoleOwners(db: Db): Promise<RoleOwner[]> {
  const rows = await db<Row[]>`SELECT role, owner, contact, updated_at AS "updatedAt" FROM role_owners`;
  return roles.map((role) => {
    const { owner = null, contact = null, updatedAt } = rows.find((row) => row.role === role) ?? {};
    return { role, owner, contact, updatedAt: updatedAt?.toISOString() ?? null };
  });
}

export async function putRoleOwner(
  db: Db,
  { role, owner, contact, updatedBy }: { role: Role; owner: string; contact: string | null; updatedBy: string },
): Promise<void> {
  await db`
    INSERT INTO role_owners (role, owner, contact, updated_by) VALUES (${role}, ${owner}, ${contact}, ${updatedBy})
    ON CONFLICT (role) DO UPDATE
      SET owner = excluded.owner, contact = excluded.contact, updated_by = excluded.updated_by, updated_at = now()`;
}
