import { FlowstateError } from '@flowstate/contracts';
import { countAdmins, insertUser, raiseEpoch, type Sql, type User } from '@flowstate/store';
import { createPasswords } from './passwords.ts';

/**
 * Makes the first administrator; null when there is one who can log in already, and nothing is changed then. Of
 * several callers at once one makes it. Throws `conflict` when the email belongs to somebody else.
 */
export async function createFirstAdmin(
  sql: Sql,
  { email, name, password }: { email: string; name: string; password: string },
): Promise<User | null> {
  if ((await countAdmins(sql)) > 0) return null;
  const passwordHash = await createPasswords().hash(password);
  return sql.begin(async (tx) => {
    await raiseEpoch(tx); // its row's lock lets one caller at a time look
    if ((await countAdmins(tx)) > 0) return null;
    const user = await insertUser(tx, { email, name, role: 'admin', passwordHash });
    if (user === null) throw new FlowstateError('conflict', `${email} is the address of another user`);
    return user;
  });
}
