import { roles, type Role } from '@flowstate/contracts';
import { findUserByEmail, insertUser, setPasswordHash, type Db } from '@flowstate/store';
import { createPasswords } from './passwords.ts';

export type DemoUser = { id: string; email: string; role: Role };

/**
 * One user per role, `<role>@flowstate.local`, all with the same password. For a local start only: nothing else makes
 * users with a known password. Running it again adds what is missing and sets the password where it differs.
 */
export async function seedDemoUsers(db: Db, { password }: { password: string }): Promise<DemoUser[]> {
  const passwords = createPasswords();
  // One for all: a hash takes its time by design, and that they have one password is known.
  let hash: Promise<string> | undefined;
  const passwordHash = () => (hash ??= passwords.hash(password));
  return Promise.all(
    roles.map(async (role) => {
      const email = `${role}@flowstate.local`;
      const found = await findUserByEmail(db, email);
      if (found !== null) {
        if (!(await passwords.verify(found.passwordHash, password))) {
          await setPasswordHash(db, found.id, await passwordHash());
        }
        return { id: found.id, email, role: found.role };
      }
      const name = `Demo ${role}`;
      const made = await insertUser(db, { email, name, role, passwordHash: await passwordHash() });
      // Null when another starter was faster: then it is there now.
      const user = made ?? (await findUserByEmail(db, email));
      if (user === null) throw new Error(`${email} could not be made`);
      return { id: user.id, email, role: user.role };
    }),
  );
}
