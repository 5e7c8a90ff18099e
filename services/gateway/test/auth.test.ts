import { changeUserAccess, insertUser, setPasswordHash } from '@flowstate/store';
import { emptyRedis } from '@flowstate/test';
import t from 'tap';
import { createGatewayFixture, password, type Gateway } from './fixtures/gateway-fixture.ts';

const email = 'manager@example.org';
type Tokens = { accessToken: string; refreshToken: string; sessionId: string; expiresIn: number };

async function logIn(gateway: Gateway, as = email): Promise<Tokens> {
  const { body } = await gateway.call('POST', '/api/auth/login', { body: { email: as, password } });
  return body as Tokens;
}
const statusOf = async (gateway: Gateway, token: string) =>
  (await gateway.call('GET', '/api/auth/me', { token })).status;

t.test('a login gives tokens, me says who, logout ends it', async (t) => {
  const { addGateway, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const answer = await gateway.call('POST', '/api/auth/login', {
    body: { email: 'Manager@EXAMPLE.org', password },
    headers: { 'user-agent': 'x'.repeat(1000) },
  });
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' }, body: { expiresIn: 900 } });
  const { accessToken: token, sessionId, refreshToken } = answer.body as Tokens;
  t.same((await gateway.call('GET', '/api/auth/me', { token })).body, {
    id: users.manager.id,
    email,
    name: 'The manager',
    role: 'manager',
  });
  const { body } = await gateway.call('GET', '/api/auth/sessions', { token });
  t.match(body, {
    items: [{ id: sessionId, current: true, userAgent: 'x'.repeat(256), address: '127.0.0.1' }],
    nextCursor: null,
  });
  t.equal((await gateway.call('POST', '/api/auth/logout', { token })).status, 204);
  t.equal(await statusOf(gateway, token), 401);
  t.equal((await gateway.call('POST', '/api/auth/refresh', { body: { refreshToken } })).status, 401);
  t.match(await gateway.failures(), { session_revoked: 1, refresh_unknown: 1 });
});

t.test('whoever is refused learns nothing: unknown, disabled, without password, wrong password', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  await changeUserAccess(sql, users.analyst.id, { disabled: true });
  await insertUser(sql, { email: 'robot@example.org', name: 'No password', role: 'service', passwordHash: null });
  const refused: [string, string][] = [
    [email, 'wrong'],
    ['nobody@example.org', password],
    ['analyst@example.org', password],
    ['robot@example.org', password],
    ["' OR role = 'admin' --", password],
    ['nul\u0000@example.org', password],
    ['\ud800@example.org', password],
    ['𝕞𝕒𝕟𝕒𝕘𝕖𝕣@example.org', password],
    [email, `${password}\u0000`],
  ];
  const seen = new Set<string>();
  for (const [name, attempt] of refused) {
    const answer = await gateway.call('POST', '/api/auth/login', { body: { email: name, password: attempt } });
    const { requestId, ...body } = answer.body;
    t.equal(answer.status, 401, JSON.stringify(name));
    t.equal(answer.headers['x-request-id'], requestId);
    seen.add(JSON.stringify(body));
  }
  t.equal(seen.size, 1, 'one answer for all');
  t.match([...seen][0], /Email or password is wrong/);
  t.match(await gateway.failures(), { credentials: refused.length });
  const log = JSON.stringify(gateway.lines);
  t.notMatch(log, /example\.org|correct horse/, 'neither address nor password is logged');
  for (const body of [{}, { email }, { email, password: 1 }, { email, password, admin: true }, [], 'x']) {
    t.equal((await gateway.call('POST', '/api/auth/login', { body })).status, 400, JSON.stringify(body));
  }
});

t.test('guessing is throttled by account and address, with or without Redis; success wipes the slate', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const guess = (gateway: Gateway, attempt: string, options: { as?: string; address?: string } = {}) =>
    gateway.call('POST', '/api/auth/login', {
      body: { email: options.as ?? email, password: attempt },
      ...(options.address !== undefined && { address: options.address }),
    });
  const statuses = async (count: number, once: (n: number) => Promise<{ status: number }>) =>
    (await Promise.all(Array.from({ length: count }, (_, n) => once(n)))).map(({ status }) => status);

  for (let round = 0; round < 2; round++) {
    t.same(await statuses(9, () => guess(here, 'wrong')), Array(9).fill(401));
    t.equal((await guess(there, password)).status, 200, 'in time, and from the start again');
  }
  const flood = await statuses(14, (n) => guess(n % 2 === 0 ? here : there, 'wrong'));
  t.equal(flood.filter((status) => status === 401).length, 10, 'both gateways count together');
  t.equal(flood.filter((status) => status === 429).length, 4);
  const refused = await guess(there, password);
  t.match(refused, { status: 429, body: { code: 'rate_limited' } }, 'even the right password waits');
  t.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 300);
  t.match(await there.failures(), { throttled: Number });
  t.equal((await guess(here, password, { address: '192.0.2.7' })).status, 200, 'its owner elsewhere is not locked out');
  t.equal((await guess(here, password, { as: 'admin@example.org' })).status, 200, 'nor others here');

  await here.cable.cut();
  const alone = await statuses(12, () => guess(here, 'wrong', { address: '2001:db8::1' }));
  t.equal(alone.filter((status) => status === 401).length, 10, 'each gateway counts for itself without Redis');
  t.equal((await guess(here, password, { address: '2001:db8::ffff' })).status, 429, 'a /64 is one address');

  const many = await statuses(125, (n) => guess(here, 'wrong', { as: `x${n}@example.org`, address: '192.0.2.9' }));
  t.equal(many.filter((status) => status === 429).length, 5, 'one address tries many accounts');
});

t.test('a revoked session is refused at once, on every gateway, also without Redis', async (t) => {
  const { addGateway, direct } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const kept = await logIn(here);
  const [flushed, stopped] = [await logIn(here), await logIn(here)];
  for (const { accessToken } of [kept, flushed, stopped]) t.equal(await statusOf(there, accessToken), 200);

  const revoke = (gateway: Gateway, id: string) =>
    gateway.call('DELETE', `/api/auth/sessions/${id}`, { token: kept.accessToken });
  t.equal((await revoke(here, flushed.sessionId)).status, 204);
  t.equal(await statusOf(there, flushed.accessToken), 401);
  await emptyRedis(direct);
  t.equal(await statusOf(there, flushed.accessToken), 401);
  t.equal(await statusOf(here, flushed.accessToken), 401);
  t.equal(await statusOf(here, kept.accessToken), 200, 'a flush logs nobody out');

  await Promise.all([here.cable.cut(), there.cable.cut()]);
  t.equal((await revoke(here, stopped.sessionId)).status, 204);
  t.equal(await statusOf(here, stopped.accessToken), 401);
  t.equal(await statusOf(there, stopped.accessToken), 401);
  t.equal(await statusOf(there, kept.accessToken), 200);
  t.equal((await revoke(there, stopped.sessionId)).status, 404, 'there is none to end any more');
});

t.test('copies that cannot be read are no fault of the gateway', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  const verify = () => gateway.call('POST', '/api/admin/sessions/verify', { token });
  t.match(await verify(), { status: 200, body: { sound: true } });
  await gateway.cable.cut();
  t.match(await verify(), { status: 503, body: { code: 'unavailable', detail: /^Redis, which has the copies/ } });
});

t.test('nobody ends the session of somebody else, or sees it', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [mine, theirs] = [await logIn(gateway), await logIn(gateway, 'admin@example.org')];
  const path = `/api/auth/sessions/${mine.sessionId}`;
  t.equal((await gateway.call('DELETE', path, { token: theirs.accessToken })).status, 404);
  t.equal((await gateway.call('DELETE', '/api/auth/sessions/1', { token: theirs.accessToken })).status, 400);
  t.equal(await statusOf(gateway, mine.accessToken), 200);

  const others = [await logIn(gateway), await logIn(gateway)];
  const page = (query: string) => gateway.call('GET', `/api/auth/sessions${query}`, { token: mine.accessToken });
  const first = (await page('?limit=2')).body as { items: { id: string; current: boolean }[]; nextCursor: string };
  t.same(
    first.items.map(({ id }) => id),
    others.map(({ sessionId }) => sessionId).toReversed(),
    'newest first',
  );
  const second = (await page(`?limit=2&cursor=${first.nextCursor}`)).body;
  t.match(second, { items: [{ id: mine.sessionId, current: true }], nextCursor: null });
  t.equal((await page('?cursor=x')).status, 400);
});

t.test('refresh tokens rotate; using one twice ends the session', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const login = await logIn(gateway);
  const refresh = (refreshToken: string) => gateway.call('POST', '/api/auth/refresh', { body: { refreshToken } });
  const { status, body } = await refresh(login.refreshToken);
  const next = body as Tokens;
  t.match({ status, next }, { status: 200, next: { sessionId: login.sessionId, expiresIn: 900 } });
  t.equal(await statusOf(gateway, next.accessToken), 200);
  t.match(await refresh(login.refreshToken), { status: 401, body: { code: 'invalid_token' } });
  t.match(await gateway.failures(), { refresh_reused: 1 });
  for (const token of [login.accessToken, next.accessToken]) t.equal(await statusOf(gateway, token), 401);
  t.equal((await refresh(next.refreshToken)).status, 401);
  t.notMatch(JSON.stringify(gateway.lines), /fsr_/);
  t.equal(
    (await gateway.call('GET', '/api/auth/me', { token: login.refreshToken })).status,
    401,
    'it opens nothing else',
  );
});

t.test('a new password ends all other sessions and needs the old one', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [mine, other] = [await logIn(gateway), await logIn(gateway)];
  const change = (currentPassword: string, newPassword: string) =>
    gateway.call('POST', '/api/auth/password', { token: mine.accessToken, body: { currentPassword, newPassword } });
  t.match(await change('wrong', 'another long password'), {
    status: 400,
    body: { errors: [{ field: 'currentPassword', message: 'is wrong' }] },
  });
  t.match(await change(password, 'short'), { status: 400, body: { errors: [{ field: 'newPassword' }] } });
  t.equal((await change(password, 'another long password')).status, 204);
  t.equal(await statusOf(gateway, mine.accessToken), 200);
  t.equal(await statusOf(gateway, other.accessToken), 401);
  const again = (attempt: string) => gateway.call('POST', '/api/auth/login', { body: { email, password: attempt } });
  t.equal((await again(password)).status, 401);
  t.equal((await again('another long password')).status, 200);
  for (let n = 0; n < 10; n++) await change('wrong', 'another long password');
  t.equal((await change('wrong', 'another long password')).status, 429, 'a stolen token is no way to guess on');
});

t.test('a login by a password that is changed meanwhile opens nothing', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const blocked = () =>
    sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  const another = await gateway.identity.passwords.hash('another long password');
  const before = users.manager.passwordHash ?? '';
  const form = `email=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const [where, body, more] of [
    ['/api/auth/login', { email, password }, {}],
    ['/admin/login', form, { headers }],
  ] as const) {
    await setPasswordHash(sql, users.manager.id, before);
    const answer = await sql.begin(async (tx) => {
      await setPasswordHash(tx, users.manager.id, another);
      // By the password of before, which is right for as long as this is not committed.
      const login = gateway.call('POST', where, { body, ...more });
      while ((await blocked()).length === 0);
      return { login };
    });
    t.equal((await answer.login).status, 401, where);
  }
  t.same(await sql`SELECT id FROM sessions WHERE user_id = ${users.manager.id}`, []);
});
