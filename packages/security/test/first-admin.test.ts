import { changeUserAccess, listAudit } from '@flowstate/store';
import t from 'tap';
import { createFirstAdmin, createPasswords } from '../src/index.ts';
import { createIdentityFixture } from './fixtures/identity-fixture.ts';

const email = 'root@example.org';
const by = { id: null, details: { test: true } };
const password = 'a long enough password';

t.test('the first administrator is made once, by one of many callers', async (t) => {
  const { sql, addUser } = await createIdentityFixture(t);
  const manager = await addUser();
  await t.rejects(createFirstAdmin(sql, { email: manager.email, name: 'x', password, by }), { code: 'conflict' });
  const all = await Promise.all(
    ['root', 'toor', 'boot'].map((name) => createFirstAdmin(sql, { email: `${name}@example.org`, name, password, by })),
  );
  const made = all.filter((user) => user !== null);
  t.equal(made.length, 1);
  t.match(made[0], { role: 'admin', disabledAt: null });
  t.match(await listAudit(sql, { limit: 9 }), [
    { action: 'user.created', actor: null, subject: made[0]?.id, details: { first: true, test: true } },
  ]);
  t.ok(await createPasswords().verify(made[0]?.passwordHash ?? null, password));
  t.equal(await createFirstAdmin(sql, { email, name: 'Root', password, by }), null);
});

t.test('an administrator nobody can log in as does not stand in its way', async (t) => {
  const { sql, addUser } = await createIdentityFixture(t);
  const robot = await addUser('admin'); // without a password
  t.match(await createFirstAdmin(sql, { email, name: 'Root', password, by }), { email, role: 'admin' });
  await changeUserAccess(sql, robot.id, { disabled: true });
  t.equal(await createFirstAdmin(sql, { email: 'two@example.org', name: 'Two', password, by }), null);
});
