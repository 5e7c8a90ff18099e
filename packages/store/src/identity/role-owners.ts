import { roles, type Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** Who in the business answers for a role; `owner` null: nobody was named yet. */
export type StoredRoleOwner = { role: Role; owner: string | null; contact: string | null; updatedAt: Date | null };

/** One entry for each role, in the order of `roles`. */
export async function listRoleOwners(db: Db): Promise<StoredRoleOwner[]> {
  const rows = await db<StoredRoleOwner[]>`
    SELECT role, owner, contact, updated_at AS "updatedAt" FROM role_owners`;
  return roles.map(
    (role) => rows.find((row) => row.role === role) ?? { role, owner: null, contact: null, updatedAt: null },
  );
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
