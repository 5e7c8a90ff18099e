import { roles } from '@flowstate/contracts';
import { findUserByEmail } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { createPasswords, seedDemoUsers } from '../src/index.ts';

t.test('one demo user per role; doing it again changes nothing but a differing password', async (t) => {
  const { sql } = await createTestDatabase(t);
  const made = await seedDemoUsers(sql, { password: 'first password' });
  t.same(
    made.map((user) => user.email),
    roles.map((role) => `${role}@flowstate.local`),
  );
  const before = await sql`SELECT * FROM users ORDER BY email`;
  t.same(await seedDemoUsers(sql, { password: 'first password' }), made);
  t.same(await sql`SELECT * FROM users ORDER BY email`, before);

  const both = await Promise.all([1, 2].map(() => seedDemoUsers(sql, { password: 'second password' })));
  t.same(both, [made, made]);
  const admin = await findUserByEmail(sql, 'ADMIN@Flowstate.Local');
  t.equal(admin?.role, 'admin');
  t.ok(await createPasswords().verify(admin?.passwordHash ?? null, 'second password'));
});
