import { mastersOf } from '@flowstate/queue';
import { createLogger, createRegistry } from '@flowstate/runtime';
import { rehearseRotation } from '@flowstate/security';
import { publishKeys, readLastRehearsal, type KeyUse } from '@flowstate/store';
import { createTestDatabase, createTestRedis, openRedis } from '@flowstate/test';
import type { Redis } from 'ioredis';
import t from 'tap';
import { createRehearser } from '../src/rehearser.ts';

const { sql } = await createTestDatabase(t);
const { url } = await createTestRedis(t);
const redis = openRedis(url);
t.teardown(() => redis.disconnect());
const log = createLogger('controller', 'silent');
const gateway = { id: crypto.randomUUID(), name: 'host:1' };
const other = { id: crypto.randomUUID(), name: 'host:2' };
const use = (kid: string, signs: boolean): KeyUse => ({
  kid,
  signs,
  verifiedRecently: 1,
  verifiedAt: new Date(),
  signedAt: signs ? new Date() : null,
  expiresAt: signs ? new Date(Date.now() + 900_000) : null,
});
const rehearse = async () => {
  const { passed, checks } = await rehearseRotation({ sql, redis: { queues: redis }, by: null });
  return { passed, failed: checks.filter(({ ok }) => !ok).map(({ name, evidence }) => `${name}: ${evidence}`) };
};

t.test('a rehearsal passes on a sound system and names what would fail', async (t) => {
  t.match(await rehearse(), { passed: false, failed: [/gateways tell of their keys: 0 live/, /one key signs: none/] });
  await publishKeys(sql, gateway, [use('one', true)], new Date());
  t.match(await rehearse(), { passed: true, failed: [] });

  await publishKeys(sql, other, [use('two', true)], new Date(Date.now() - 5_000));
  t.match(await rehearse(), {
    passed: false,
    failed: [/one key signs: a rotation is under way: /, /every gateway accepts.*(one, two|two, one)/, /late: host:2/],
  });
  await sql`DELETE FROM gateway_keys WHERE gateway = ${other.id}`;
  await sql`INSERT INTO secret_values (name, fingerprint, first_seen_at) VALUES ('JWT_SECRET', 'abcd', now() - interval '1 year')`;
  t.match(await rehearse(), { failed: [/no secret is over age: JWT_SECRET/] });
  await sql`DELETE FROM secret_values`;
  const servers = mastersOf(redis);
  const setUser = (server: Redis) => server.acl('SETUSER', 'rehearsed', 'on', '>one', '>two', '~*', '+@all');
  await Promise.all(servers.map(setUser));
  t.teardown(() => Promise.all(servers.map((server) => server.acl('DELUSER', 'rehearsed'))));
  const address = new URL(url);
  address.username = 'rehearsed';
  address.password = 'one';
  const left = openRedis(address.href);
  t.teardown(() => left.disconnect());
  await publishKeys(sql, gateway, [use('one', true)], new Date());
  const { checks } = await rehearseRotation({ sql, redis: { cache: left }, by: null });
  t.match(
    checks.filter(({ ok }) => !ok),
    [{ name: 'password of Redis (cache)', evidence: /rehearsed has 2/ }],
  );
});

t.test('the schedule rehearses when it is due, once, and shows the verdict and that one is overdue', async (t) => {
  await sql`TRUNCATE rotation_rehearsals`;
  await publishKeys(sql, gateway, [use('one', true)], new Date());
  const registry = createRegistry('controller', { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' });
  const hour = 3600_000;
  const settings = { sql, redis, log: log, cron: '0 * * * *' };
  const metric = async (name: string) =>
    new RegExp(`^flowstate_rotation_rehearsal_${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(await registry.metrics())?.[1];

  const due = createRehearser({ ...settings, registry, startedAt: new Date(Date.now() - 3 * hour) });
  t.equal(await metric('passed'), undefined);
  t.equal(await metric('overdue'), '1');
  await due();
  const { last } = await readLastRehearsal(sql);
  t.match(last, { passed: true, by: null });
  t.equal(await metric('passed'), '1');
  t.equal(await metric('overdue'), '0');
  await due();
  t.equal((await sql`SELECT 1 FROM rotation_rehearsals`).length, 1, 'not again before the next time');

  await sql`UPDATE rotation_rehearsals SET at = at - interval '3 hours', passed = false`;
  t.equal(await metric('passed'), '0');
  t.equal(await metric('overdue'), '1');
  t.ok(Number(await metric('age_seconds')) >= 3 * 3600);
  const never = createRehearser({
    ...settings,
    cron: null,
    registry: createRegistry('controller', { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' }),
  });
  await never();
  t.equal((await sql`SELECT 1 FROM rotation_rehearsals`).length, 1);
  await due();
  t.equal((await sql`SELECT 1 FROM rotation_rehearsals`).length, 2);
});
