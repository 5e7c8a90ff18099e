import { changeUserAccess, revokeApiKey } from '@flowstate/store';
import t from 'tap';
import { createApiKey, createApiKeys } from '../src/index.ts';
import { createIdentityFixture } from './fixtures/identity-fixture.ts';

t.test('an API key acts as its user until it is revoked, over, or its user disabled', async (t) => {
  const { sql, addGateway, addUser } = await createIdentityFixture(t);
  const { identity } = await addGateway();
  const user = await addUser('service');
  const keys = createApiKeys({ sql, policy: identity.policy }, { maxAgeMs: -1 });
  const make = (expiresAt?: Date) =>
    createApiKey(sql, { userId: user.id, name: 'nightly', scopes: ['api'], ...(expiresAt && { expiresAt }) });
  const { id, key, prefix } = await make(new Date(Date.now() + 60_000));
  t.match(key, new RegExp(`^fsk_${prefix}_[\\w-]{43}$`));
  t.same(await keys.check(key), { id, userId: user.id, role: 'service', scopes: ['api'] });

  const [row] = await sql`SELECT * FROM api_keys WHERE id = ${id}`;
  t.notOk(JSON.stringify(row).includes(key.slice(-43)), 'the key itself is stored nowhere');

  const otherEnd = key.endsWith('A') ? 'B' : 'A';
  for (const wrong of [
    `${key.slice(0, -1)}${otherEnd}`,
    key.slice(0, -1),
    `${key}A`,
    'fsk_',
    `fsk_${'0'.repeat(12)}_${key.slice(-43)}`,
  ]) {
    t.equal(await keys.check(wrong), 'api_key_unknown', wrong);
  }
  const ended = await make(new Date(Date.now() - 1));
  t.equal(await keys.check(ended.key), 'api_key_ended');
  await changeUserAccess(sql, user.id, { disabled: true });
  t.equal(await keys.check(key), 'user_disabled');
  await changeUserAccess(sql, user.id, { disabled: false });
  t.ok(await revokeApiKey(sql, id));
  t.notOk(await revokeApiKey(sql, id));
  t.equal(await keys.check(key), 'api_key_ended');
});
