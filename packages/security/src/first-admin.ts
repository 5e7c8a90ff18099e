import { FlowstateError } from '@flowstate/contracts';
import { countAdmins, insertUser, raiseEpoch, type Sql, type User } from '@flowstate/store';
import type { Operator } from './audit.ts';
import { createAuditedChange } from './audited-change.ts';
import { createPasswords } from './passwords.ts';

/**
 * Makes the first administrator; null when there is one who can log in already, and nothing is changed then. Of
 * several callers at once one makes it. Throws `conflict` when the email belongs to somebody else.
 */
export async function createFirstAdmin(
  sql: Sql,
  { email, name, password, by }: { email: string; name: string; password: string; by: Operator },
): Promise<User | null> {
  if ((await countAdmins(sql)) > 0) return null;
  const passwordHash = await createPasswords().hash(password);
  return createAuditedChange()(sql, async (tx, record) => {
    await raiseEpoch(tx); // its row's lock lets one caller at a time look
    if ((await countAdmins(tx)) > 0) return null;
    const user = await insertUser(tx, { email, name, role: 'admin', passwordHash });
    if (user === null) throw new FlowstateError('conflict', `${email} is the address of another user`);
    const details = { ...by.details, role: user.role, first: true };
    await record({ action: 'user.created', actor: by.id, subject: user.id, outcome: 'success', details });
    return user;
  });
}
