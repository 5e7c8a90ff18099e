import type { AdminUser, ApiKeyInfo, NewKeyAnswer } from '@flowstate/contracts';
import { changeUserAccess } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture, password, type Gateway } from './fixtures/gateway-fixture.ts';

const api =
  (gateway: Gateway, token: string) => (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) =>
    gateway.call(method, `/api/admin/${path}`, { token, ...(body !== undefined && { body }) });
const statusOf = async (gateway: Gateway, token: string) =>
  (await gateway.call('GET', '/api/auth/me', { token })).status;
const logIn = async (gateway: Gateway, email: string, secret: string) =>
  gateway.call('POST', '/api/auth/login', { body: { email, password: secret } });

t.test('users are made, changed, disabled and given another password; each change reaches both gateways', async (t) => {
  const { addGateway, users } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const admin = api(here, await here.tokenOf('admin'));
  const body = { email: 'Ann@example.org', name: 'Ann', role: 'agent', password: 'a long enough password' };
  const made = await admin('POST', 'users', body);
  const ann = made.body as AdminUser;
  t.match(made, {
    status: 201,
    body: { email: 'Ann@example.org', role: 'agent', hasPassword: true, disabledAt: null },
  });
  t.notMatch(made.text, /argon2|long enough/);
  t.match(await admin('POST', 'users', { ...body, email: 'ANN@EXAMPLE.ORG' }), {
    status: 409,
    body: { errors: [{ field: 'email', message: 'is taken' }] },
  });
  t.match((await admin('GET', 'users?limit=1')).body, { items: [{ id: ann.id }], nextCursor: ann.id });
  t.match((await admin('GET', 'users?email=ann@example.org')).body, { items: [{ id: ann.id }], nextCursor: null });
  t.match((await admin('GET', 'users?role=analyst')).body, { items: [{ id: users.analyst.id }] });

  const token = (await logIn(there, 'ann@example.org', body.password)).body['accessToken'] as string;
  t.equal((await there.call('POST', '/api/customers', { token, body: {} })).status, 400);
  const epoch = here.identity.policy.epoch() as number;
  t.match((await admin('PATCH', `users/${ann.id}`, { role: 'analyst' })).body, { role: 'analyst' });
  t.equal(here.identity.policy.epoch(), epoch + 1);
  await there.identity.policy.refresh();
  t.equal((await there.call('POST', '/api/customers', { token, body: {} })).status, 403);

  await admin('PATCH', `users/${ann.id}`, { password: 'quite another password' });
  t.equal(await statusOf(there, token), 401, 'a new password ends all sessions');
  t.equal((await logIn(there, 'ann@example.org', body.password)).status, 401);
  const again = (await logIn(there, 'ann@example.org', 'quite another password')).body['accessToken'] as string;
  t.equal(await statusOf(there, again), 200);
  t.ok((await admin('PATCH', `users/${ann.id}`, { disabled: true })).body['disabledAt']);
  t.equal(await statusOf(there, again), 401);
  t.equal((await logIn(there, 'ann@example.org', 'quite another password')).status, 401);
  t.match((await admin('PATCH', `users/${ann.id}`, { disabled: false })).body, { disabledAt: null });
  t.equal(await statusOf(there, again), 401, 'being enabled brings no old session back');
  t.equal((await logIn(there, 'ann@example.org', 'quite another password')).status, 200);
  t.match(
    here.audited.map(({ action, subject }) => ({ action, subject })),
    ['user.created', ...Array(4).fill('user.changed')].map((action) => ({ action, subject: ann.id })),
  );
  t.notMatch(JSON.stringify(here.audited), /long enough|another password/);

  for (const bad of [
    {},
    { ...body, email: 'nobody' },
    { ...body, email: 'a@b\u0000' },
    { ...body, name: '\u001b[2J' },
    { ...body, role: 'root' },
    { ...body, password: 'short' },
    { ...body, admin: true },
  ]) {
    t.equal((await admin('POST', 'users', bad)).status, 400, JSON.stringify(bad));
  }
  for (const bad of [{}, { role: 'root' }, { email: 'x@y.z' }]) {
    t.equal((await admin('PATCH', `users/${ann.id}`, bad)).status, 400, JSON.stringify(bad));
  }
  t.equal((await admin('PATCH', `users/${crypto.randomUUID()}`, { disabled: true })).status, 404);
  t.equal((await admin('GET', 'users/1')).status, 400);
});

t.test('the last administrator who can log in stays one, also when two are taken at once', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const admin = api(gateway, await gateway.tokenOf('admin'));
  const self = `users/${users.admin.id}`;
  for (const change of [{ role: 'manager' }, { disabled: true }]) {
    t.match(await admin('PATCH', self, change), { status: 409, body: { detail: /last administrator/ } });
  }
  t.match(gateway.audited, [{ outcome: 'denied' }, { outcome: 'denied' }]);
  t.equal((await admin('PATCH', self, { name: 'Still here' })).status, 200);
  await admin('POST', 'users', { email: 'robot@example.org', name: 'Robot', role: 'admin' });
  t.equal((await admin('PATCH', self, { disabled: true })).status, 409, 'one without a password is no way in');

  for (let round = 0; round < 5; round++) {
    await changeUserAccess(sql, users.manager.id, { role: 'admin' });
    await changeUserAccess(sql, users.admin.id, { role: 'admin' });
    const both = await Promise.allSettled([
      changeUserAccess(sql, users.manager.id, { role: 'analyst' }),
      changeUserAccess(sql, users.admin.id, { disabled: true }),
    ]);
    t.equal(both.filter(({ status }) => status === 'rejected').length, 1, 'exactly one was refused');
    await changeUserAccess(sql, users.admin.id, { disabled: false });
  }
});

t.test('an API key is shown once, does what its scopes say, and ends', async (t) => {
  const { addGateway, sql } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const admin = api(here, await here.tokenOf('admin'));
  const robot = (await admin('POST', 'users', { email: 'ci@example.org', name: 'CI', role: 'service' }))
    .body as AdminUser;
  t.equal(robot.hasPassword, false);
  const make = (body: object) => admin('POST', 'keys', { userId: robot.id, name: 'deploy', scopes: ['api'], ...body });
  const answer = await make({ expiresInDays: 7 });
  const made = answer.body as NewKeyAnswer;
  t.match(answer, { status: 201, headers: { 'cache-control': 'no-store' } });
  t.ok(made.key.startsWith(made.prefix));
  const days = (Date.parse(made.expiresAt) - Date.now()) / 86_400_000;
  t.ok(days > 6.9 && days <= 7);
  t.match((await there.call('GET', '/api/auth/me', { token: made.key })).body, { id: robot.id, role: 'service' });
  let listed: ApiKeyInfo | undefined;
  while (!listed?.lastUsedAt) {
    // Noted beside the request, which does not wait for it.
    const list = await admin('GET', `keys?userId=${robot.id}`);
    t.notMatch(list.text, made.key.slice(-20));
    listed = (list.body as { items: ApiKeyInfo[] }).items[0];
  }
  t.match(listed, { id: made.id, prefix: made.prefix, user: 'ci@example.org', scopes: ['api'], revokedAt: null });

  t.equal((await admin('DELETE', `keys/${made.id}`)).status, 204);
  await there.identity.policy.refresh();
  t.equal(await statusOf(there, made.key), 401);
  t.equal((await admin('DELETE', `keys/${made.id}`)).status, 404);

  const old = (await make({})).body as NewKeyAnswer;
  await sql`UPDATE api_keys SET expires_at = now() WHERE id = ${old.id}`;
  t.equal(await statusOf(there, old.key), 401);
  for (const bad of [
    { userId: crypto.randomUUID() },
    { scopes: [] },
    { scopes: ['everything'] },
    { expiresInDays: 0 },
    { expiresInDays: 4000 },
  ]) {
    t.equal((await make(bad)).status, 400, JSON.stringify(bad));
  }
  t.notMatch(JSON.stringify([here.audited, here.lines, there.lines]), new RegExp(made.key.slice(-20)));
});

t.test('sessions of others are listed, ended, and held against Redis', async (t) => {
  const { addGateway, direct, users, sql } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const token = await here.tokenOf('admin');
  const admin = api(here, token);
  const logins = await Promise.all([1, 2, 3].map(() => logIn(there, 'manager@example.org', password)));
  const tokens = logins.map(({ body }) => body as { accessToken: string; sessionId: string });
  const first = tokens[0] as { accessToken: string; sessionId: string };
  t.equal((await admin('GET', 'sessions')).status, 200);
  const listed = (await admin('GET', 'sessions?user=manager@example.org')).body as { items: { id: string }[] };
  t.same(listed.items.map(({ id }) => id).toSorted(), tokens.map(({ sessionId }) => sessionId).toSorted());
  t.match((await admin('GET', `sessions?user=${users.manager.id}&limit=1`)).body, {
    items: { length: 1 },
    nextCursor: String,
  });

  t.match((await admin('DELETE', `sessions/${first.sessionId}`)).body, { userId: users.manager.id, revoked: 1 });
  t.equal(await statusOf(there, first.accessToken), 401);
  t.equal((await admin('DELETE', `sessions/${first.sessionId}`)).status, 404);
  t.match((await admin('POST', 'sessions/verify')).body, { sound: true, copies: 3, sessions: 3 });
  await direct.set(`flowstate:session:${crypto.randomUUID()}`, '{}');
  t.match((await admin('POST', 'sessions/verify?repair=true')).body, {
    sound: false,
    counts: { orphaned: 1 },
    repaired: 1,
  });
  t.match((await admin('POST', 'sessions/verify')).body, { sound: true });
  t.match((await admin('DELETE', 'sessions?user=manager@example.org')).body, { revoked: 2 });
  for (const { accessToken } of tokens) t.equal(await statusOf(there, accessToken), 401);
  t.equal((await admin('GET', 'sessions?user=nobody@example.org')).status, 404);
  t.equal((await admin('DELETE', 'sessions')).status, 400, 'never all of everybody');
  t.match(
    here.audited.map(({ action }) => action),
    ['session.revoked', ...Array(3).fill('session.verified'), 'session.all_revoked'],
  );

  await changeUserAccess(sql, users.admin.id, { name: 'x' });
  t.equal(await statusOf(here, token), 200);
});
