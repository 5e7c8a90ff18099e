import { secretFingerprint, secretsOf } from '@flowstate/security';
import { readSecretSalts } from '@flowstate/store';
import t from 'tap';
import { reportSecrets } from '../src/secret-report.ts';
import { createGatewayFixture, secret } from './fixtures/gateway-fixture.ts';

type Age = { name: string; state: string; ageSeconds: number; rotating: boolean; maxAgeDays: number };

t.test('the age of every secret is known, and a rotation ends when the last gateway has the new value', async (t) => {
  const { addGateway, sql } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  const log = gateway.app.log as never;
  const ages = async () => {
    const { body } = await gateway.call('GET', '/api/admin/secrets', { token });
    return new Map((body as { items: Age[] }).items.map((item) => [item.name, item]));
  };
  /** A gateway with these secrets tells of them once. */
  const tell = async (values: Record<string, string>, wanted: (found: Map<string, Age>) => boolean) => {
    const report = reportSecrets({ sql, secrets: secretsOf(values), log });
    for (let found = await ages(); !wanted(found); found = await ages());
    await report.stop();
    return ages();
  };
  t.equal((await ages()).size, 7);
  t.match((await ages()).get('JWT_SECRET'), { state: 'unset', ageSeconds: null, maxAgeDays: 90 });

  const [old, next] = [secret(), secret()];
  let now = await tell(
    { JWT_SECRET: old, REDIS_URL: 'redis://u:p%40ss@h' },
    (it) => it.get('JWT_SECRET')?.state === 'fresh',
  );
  t.match(now.get('REDIS_URL'), { state: 'fresh' });
  t.match(now.get('METRICS_TOKEN'), { state: 'unset' });
  const stored = JSON.stringify(await sql`SELECT * FROM secret_values`);
  t.notMatch(stored, old);
  t.notMatch(stored, 'p@ss');

  await sql`UPDATE secret_values SET first_seen_at = first_seen_at - interval '85 days' WHERE name = 'JWT_SECRET'`;
  t.match((await ages()).get('JWT_SECRET'), { state: 'due-soon' });
  await sql`UPDATE secret_values SET first_seen_at = first_seen_at - interval '6 days' WHERE name = 'JWT_SECRET'`;
  t.match((await ages()).get('JWT_SECRET'), { state: 'over-age' });
  const longer = await gateway.call('PUT', '/api/admin/secrets/JWT_SECRET', { token, body: { maxAgeDays: 120 } });
  t.match(longer, { status: 200, body: { state: 'fresh', maxAgeDays: 120 } });
  t.match(gateway.audited, [{ action: 'secret.max-age', subject: 'JWT_SECRET' }]);
  await gateway.call('PUT', '/api/admin/secrets/JWT_SECRET', { token, body: { maxAgeDays: 90 } });

  now = await tell({ JWT_SECRET: next }, (it) => it.get('JWT_SECRET')?.rotating === true);
  t.match(now.get('JWT_SECRET'), { state: 'over-age', rotating: true }, 'another gateway still has the old one');
  await sql`UPDATE secret_values SET last_seen_at = last_seen_at - interval '5 minutes' WHERE fingerprint = ${await secretFingerprint(
    old,
    (await readSecretSalts(sql)).get('JWT_SECRET') as string,
  )}`;
  now = await ages();
  t.match(now.get('JWT_SECRET'), { state: 'fresh', rotating: false });
  t.ok((now.get('JWT_SECRET')?.ageSeconds ?? 99) < 60);

  for (const [name, body] of [
    ['NOPE', { maxAgeDays: 5 }],
    ['JWT_SECRET', { maxAgeDays: 0 }],
    ['JWT_SECRET', {}],
  ] as const) {
    const { status } = await gateway.call('PUT', `/api/admin/secrets/${name}`, { token, body });
    t.equal(status, name === 'NOPE' ? 404 : 400);
  }
});

t.test('a fingerprint tells values apart and depends on its salt', async (t) => {
  const [one, again, other, salted] = await Promise.all([
    secretFingerprint('one value', 'salt'),
    secretFingerprint('one value', 'salt'),
    secretFingerprint('another value', 'salt'),
    secretFingerprint('one value', 'pepper'),
  ]);
  t.match(one, /^[0-9a-f]{4}$/);
  t.equal(one, again);
  t.not(one, other);
  t.not(one, salted);
});
