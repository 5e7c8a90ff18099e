import type { SigningKeyInfo, SigningKeyReport } from '@flowstate/contracts';
import { insertRehearsal, killKey, noteSecretValues, publishKeys, readPolicy, type Db } from '@flowstate/store';
import { setImmediate as immediate } from 'node:timers/promises';
import t from 'tap';
import { createGatewayFixture, password, secret, type Gateway } from './fixtures/gateway-fixture.ts';
import { addRun } from './fixtures/owned-run.ts';

type Tokens = { accessToken: string; refreshToken: string };
const path = '/api/admin/signing-keys';

/** Status once every gateway has told of itself, and it says what is waited for. */
async function statusWhen(
  gateway: Gateway,
  token: string,
  holds: (report: SigningKeyReport) => boolean,
): Promise<Map<string, SigningKeyInfo>> {
  for (const deadline = Date.now() + 10_000; ;) {
    const { body } = await gateway.call('GET', path, { token });
    const report = body as SigningKeyReport;
    if (holds(report)) return new Map(report.items.map((item) => [item.kid, item]));
    if (Date.now() > deadline) throw new Error(`it never said so: ${JSON.stringify(report, null, 2)}`);
  }
}
const login = (gateway: Gateway, role: string) =>
  gateway.call('POST', '/api/auth/login', { body: { email: `${role}@example.org`, password } });
const refresh = (gateway: Gateway, refreshToken: string) =>
  gateway.call('POST', '/api/auth/refresh', { body: { refreshToken } });
const me = async (gateway: Gateway, token: string) => (await gateway.call('GET', '/api/auth/me', { token })).status;

t.test('each phase of a rotation has its verdict', async (t) => {
  const { addGateway, secrets, sql } = await createGatewayFixture(t);
  const next = secret();
  const first = await addGateway();
  const old = first.keys.current.kid;
  const admin = await first.tokenOf('admin');
  t.equal((await first.call('GET', path, { token: await first.tokenOf('manager') })).status, 403);
  let keys = await statusWhen(
    first,
    admin,
    ({ gateways, items }) => gateways === 1 && (items[0]?.verifiedRecently ?? 0) > 0,
  );
  t.match(keys.get(old), { state: 'signing', verdict: 'not safe to retire', safeToSign: true, safeToRetire: false });
  t.ok((keys.get(old)?.verifiedRecently ?? 0) > 0, 'traffic');

  const learned = await addGateway({ JWT_PREVIOUS_SECRETS: next });
  const nextKid = learned.keys.kids().find((kid) => kid !== old) as string;
  keys = await statusWhen(first, admin, ({ gateways, items }) => gateways === 2 && items.length === 2);
  t.match(keys.get(nextKid), { state: 'verify-only', verdict: 'not safe to sign with', why: [/next key/, /1 of 2/] });
  await first.leave();
  keys = await statusWhen(learned, admin, ({ gateways }) => gateways === 1);
  t.match(keys.get(nextKid), { verdict: 'safe to sign with', safeToSign: true, safeToRetire: false });

  const moved = await addGateway({ JWT_SECRET: next, JWT_PREVIOUS_SECRETS: secrets.JWT_SECRET });
  const byNext = await moved.tokenOf('admin');
  await learned.leave();
  keys = await statusWhen(moved, byNext, ({ gateways }) => gateways === 1);
  t.match(keys.get(old), { state: 'verify-only', verdict: 'not safe to retire', why: [/are good until/] });
  t.match(keys.get(nextKid), { state: 'signing', verdict: 'not safe to retire' });

  // A quarter of an hour later.
  await sql`UPDATE signing_keys SET last_expiry = last_expiry - interval '1 hour',
            last_verified_at = last_verified_at - interval '1 hour' WHERE kid = ${old}`;
  keys = await statusWhen(moved, byNext, () => true);
  t.match(keys.get(old), { state: 'verify-only', verdict: 'safe to retire', safeToRetire: true });
  const retired = await addGateway({ JWT_SECRET: next });
  await moved.leave();
  keys = await statusWhen(retired, byNext, ({ gateways }) => gateways === 1);
  t.match(keys.get(old), { state: 'unheld', verdict: 'retired', gateways: [] });
});

t.test('a killed key is refused everywhere in under a second, and nobody loses their session', async (t) => {
  const { addGateway, secrets, sql, users } = await createGatewayFixture(t);
  const next = secret();
  const moved = await addGateway({ JWT_SECRET: next, JWT_PREVIOUS_SECRETS: secrets.JWT_SECRET });
  const behind = await addGateway({ JWT_PREVIOUS_SECRETS: next });
  const admin = await moved.tokenOf('admin');
  const kid = behind.keys.current.kid;
  const { accessToken, refreshToken } = (await login(behind, 'agent')).body as Tokens;
  t.equal(await me(moved, accessToken), 200);
  t.equal(await me(behind, accessToken), 200, 'and remembered there');
  await statusWhen(moved, admin, ({ gateways }) => gateways === 2);

  const runId = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner: null });
  const stream = behind.call('GET', `/api/runs/${runId}/events`, { token: accessToken });
  while ((await behind.metrics.sseActive.get()).values[0]?.value !== 1) await immediate();

  const kill = (name: string, body: object = { reason: 'leaked in a chat' }) =>
    moved.call('POST', `${path}/${name}/kill`, { token: admin, body });
  t.equal((await kill('nobodysaweit')).status, 404);
  t.equal((await kill(kid, {})).status, 400, 'a reason is needed');
  const began = performance.now();
  const answer = await kill(kid);
  t.match(answer, { status: 200, body: { kid, disabled: [/:\d+/] } });
  t.equal(await me(moved, accessToken), 401, 'at once where it was said');
  let status = 200;
  while (status === 200 && performance.now() - began < 5_000) status = await me(behind, accessToken);
  const ms = performance.now() - began;
  t.equal(status, 401);
  t.comment(`elsewhere after ${ms.toFixed(0)} ms`);
  t.comment(`refused by the second gateway ${ms.toFixed(0)} ms after the kill was asked for`);
  t.equal((await stream).status, 200, 'a stream its token opened ends');
  t.match(await behind.failures(), { killed_kid: 1 });
  const failed = behind.lines.findLast(({ msg }) => msg === 'Authentication failed');
  t.match(failed, { reason: 'killed_kid' });
  t.match(moved.audited, [{ action: 'signing-key.kill', subject: kid, outcome: 'success' }]);

  for (const answered of [await login(behind, 'agent'), await refresh(behind, refreshToken)]) {
    t.match(answered, { status: 503, body: { code: 'unavailable', detail: /was killed.*new JWT_SECRET/ } });
  }
  t.match(await behind.call('GET', '/api/ready'), { status: 503, body: { status: 'unready' } });
  t.equal(await me(behind, admin), 200, 'it still serves who has a good token');
  const renewed = await refresh(moved, refreshToken);
  t.equal(renewed.status, 200, 'the refusal has not spent the refresh token');
  t.equal(await me(behind, (renewed.body as Tokens).accessToken), 200);

  const restarted = await addGateway({ JWT_PREVIOUS_SECRETS: next });
  t.equal(await me(restarted, accessToken), 401, 'a restart forgets nothing');
  t.equal((await restarted.call('GET', '/api/ready')).status, 503);
  t.equal((await kill(kid)).status, 200, 'again it changes nothing');
  t.equal((await sql`SELECT 1 FROM killed_keys`).length, 1);
  const keys = await statusWhen(moved, admin, () => true);
  t.match(keys.get(kid), {
    state: 'killed',
    verdict: 'killed',
    safeToRetire: false,
    why: [/leaked in a chat/, /no logins/],
  });
});

t.test('the only signing key is killed by force alone', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const [one, other] = [await addGateway(), await addGateway()];
  const { accessToken, refreshToken } = (await login(one, 'admin')).body as Tokens;
  const { kid } = one.keys.current;
  await statusWhen(one, accessToken, ({ gateways }) => gateways === 2);
  const kill = (body: object) =>
    one.call('POST', `${path}/${kid}/kill`, { token: accessToken, body: { reason: 'stolen', ...body } });
  t.match(await kill({}), { status: 409, body: { detail: /503.*JWT_SECRET.*sessions stay/ } });
  t.equal(await me(other, accessToken), 200, 'nothing happened');
  t.match(await kill({ force: true }), { status: 200, body: { disabled: { length: 2 } } });
  t.equal(await me(one, accessToken), 401);
  t.equal((await refresh(one, refreshToken)).status, 503);
  const fresh = await addGateway({ JWT_SECRET: secret() });
  const renewed = await refresh(fresh, refreshToken);
  t.equal(renewed.status, 200, 'the session went on with a new key');
  t.equal(await me(fresh, (renewed.body as Tokens).accessToken), 200);
});

t.test('no key is trusted before it is known which are killed', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('agent');
  gateway.identity.policy.appliedEpoch = () => undefined;
  t.match(await gateway.call('GET', '/api/auth/me', { token }), { status: 503, body: { code: 'unavailable' } });
  t.equal((await login(gateway, 'agent')).status, 503);
});

t.test('the role of the services may kill a key and tell of its use, and can undo no kill', async (t) => {
  const { sql } = await createGatewayFixture(t);
  const asService = <T>(work: (tx: Db) => Promise<T>) =>
    sql.begin(async (tx) => {
      await tx`SET LOCAL ROLE flowstate_app`;
      return work(tx);
    });
  const use = { kid: 'one', signs: true, verifiedRecently: 0, verifiedAt: null, signedAt: null, expiresAt: null };
  await asService((tx) => publishKeys(tx, { id: crypto.randomUUID(), name: 'host:1' }, [use], new Date()));
  await asService((tx) => killKey(tx, { kid: 'one', reason: 'leaked', by: null }));
  t.match(await asService((tx) => readPolicy(tx)), { killedKeys: ['one'] });
  await asService(async (tx) => {
    await noteSecretValues(tx, [{ name: 'JWT_SECRET', fingerprint: 'abcd' }]);
    await insertRehearsal(tx, { by: null, checks: [] });
  });
  for (const undo of [
    'DELETE FROM killed_keys',
    'UPDATE killed_keys SET kid = kid',
    'DELETE FROM rotation_rehearsals',
  ]) {
    await t.rejects(
      asService((tx) => tx.unsafe(undo)),
      { message: /permission denied/ },
      undo,
    );
  }
});
