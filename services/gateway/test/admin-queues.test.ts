import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { changeUserAccess, readRun } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture, password, type Gateway } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker, failRun } from './fixtures/owned-run.ts';

const origin = 'http://localhost:80';
const form = { 'content-type': 'application/x-www-form-urlencoded', origin };
const html = { accept: 'text/html,application/xhtml+xml' };

function logIn(gateway: Gateway, role: string, { next = '', attempt = password, headers = {} } = {}) {
  const body = new URLSearchParams({ email: `${role}@example.org`, password: attempt, next }).toString();
  return gateway.call('POST', '/admin/login', { body, headers: { ...form, ...headers } });
}

async function cookieOf(gateway: Gateway, role: string): Promise<{ cookie: string }> {
  const { cookies } = await logIn(gateway, role);
  return { cookie: `flowstate_session=${cookies.find(({ path }) => path === '/admin')?.value}` };
}

t.test('a browser is led to the login and back, and its cookie opens the pages only', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const target = '/admin/queues/queue/workflows?status=failed';
  t.match(await gateway.call('GET', target, { headers: html }), {
    status: 303,
    headers: { location: `/admin/login?next=${encodeURIComponent(target)}` },
  });
  t.equal((await gateway.call('GET', target)).status, 401, 'a program is told');
  t.equal((await gateway.call('GET', target, { token: 'x', headers: html })).status, 401, 'so is one with a bad token');

  const page = await gateway.call('GET', `/admin/login?next=${encodeURIComponent('/admin/queues/"><script>')}`);
  t.equal(page.status, 200);
  t.match(page.headers, {
    'content-type': /text\/html/,
    'content-security-policy': /default-src 'none'; style-src 'sha256-.*frame-ancestors 'none'/,
    'cache-control': 'no-store',
    'referrer-policy': 'same-origin',
  });
  t.notMatch(page.text, /<script|https?:|javascript/i, 'nothing runs, nothing comes from elsewhere');

  const answer = await logIn(gateway, 'admin', { next: target });
  t.match(answer, { status: 303, headers: { location: target } });
  t.same(
    answer.cookies.map(({ path }) => path),
    ['/admin', '/api/runs'],
  );
  for (const cookie of answer.cookies) {
    t.match(cookie, { name: 'flowstate_session', httpOnly: true, sameSite: 'Strict', maxAge: 900 });
    t.notOk(cookie.secure, 'loopback without TLS');
  }
  const value = answer.cookies[0]?.value as string;
  const headers = { cookie: `flowstate_session=${value}` };
  const board = await gateway.call('GET', '/admin/queues', { headers: { ...headers, ...html } });
  t.match(board, { status: 200, headers: { 'content-security-policy': /default-src 'self'/ } });
  t.notMatch(board.text, /https?:\/\//, 'no fonts from elsewhere');
  t.match(board.text, /<style>[^<]*jobActions-/);
  t.equal((await gateway.call('GET', '/admin/queues/static/images/logo.svg', { headers })).status, 200);
  t.equal((await gateway.call('GET', '/admin/queues/static/images/logo.svg')).status, 401);
  t.equal((await gateway.call('GET', '/api/auth/me', { headers })).status, 401, 'the API takes no cookie');
  t.equal((await gateway.call('GET', '/api/runs', { headers })).status, 401);
  const events = `/api/runs/${crypto.randomUUID()}/events`;
  t.equal((await gateway.call('GET', events, { headers })).status, 404, 'but event streams do');
  t.match(await gateway.call('GET', '/admin/logout', { headers }), { status: 200, text: /admin@example\.org/ });
  t.equal((await gateway.call('GET', '/admin/queues', { token: value })).status, 200, 'a bearer token opens them too');
});

t.test('logging out of the pages ends the session', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const cookie = await cookieOf(gateway, 'analyst');
  const foreign = { ...cookie, origin: 'https://evil.example' };
  t.equal((await gateway.call('POST', '/admin/logout', { headers: foreign })).status, 403);
  t.equal((await gateway.call('POST', '/admin/logout', { headers: cookie })).status, 403, 'a browser says where it is');
  t.match(await gateway.failures(), { origin: 2 });
  const done = await gateway.call('POST', '/admin/logout', { headers: { ...cookie, origin } });
  t.match(done, { status: 303, headers: { location: '/admin/login' } });
  t.ok(
    done.cookies.every(({ expires }) => (expires as Date).getTime() === 0),
    'and the cookie goes',
  );
  t.equal((await gateway.call('GET', '/admin/queues', { headers: cookie })).status, 401);
});

t.test('the login is refused alike, throttled, and never leads astray', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  t.match(await logIn(gateway, 'admin', { attempt: 'wrong' }), { status: 401, text: /Email or password is wrong/ });
  t.match(await logIn(gateway, 'nobody'), { status: 401, text: /Email or password is wrong/ });
  t.match(await logIn(gateway, 'admin', { attempt: '' }), { status: 400, text: /Please fill in/ });
  t.match(await logIn(gateway, '"><img src=x>', { attempt: 'x' }), { status: 401, text: /&#34;&#62;&#60;img/ });
  for (const role of ['agent', 'integration', 'service']) {
    const answer = await logIn(gateway, role);
    t.match(answer, { status: 403, text: /has no pages here/ });
    t.same(answer.cookies, []);
  }
  t.equal((await logIn(gateway, 'admin', { headers: { origin: 'https://evil.example' } })).status, 403);
  t.equal((await logIn(gateway, 'admin', { headers: { origin: 'null' } })).status, 403);
  t.equal((await logIn(gateway, 'admin', { headers: { 'sec-fetch-site': 'cross-site' } })).status, 403);
  for (const next of [
    'https://evil.example',
    '//evil.example',
    '/admin/queues/../../x',
    '/admin/queues\\evil',
    '/admin/queues/%0d%0aSet-Cookie:x',
  ]) {
    t.equal((await logIn(gateway, 'admin', { next })).headers.location, '/admin/queues', next);
  }
  const elsewhere = await logIn(gateway, 'admin', { headers: { host: 'flow.example', origin: 'http://flow.example' } });
  t.ok(
    elsewhere.cookies.every(({ secure }) => secure),
    'Secure anywhere but on loopback',
  );

  const guesses = await Promise.all(Array.from({ length: 11 }, () => logIn(gateway, 'manager', { attempt: 'wrong' })));
  t.equal(guesses.filter(({ status }) => status === 401).length, 10);
  const refused = guesses.find(({ status }) => status === 429);
  t.match(refused, { text: /Too many attempts/, headers: { 'retry-after': /^\d+$/ } });
  t.equal(
    (await gateway.call('POST', '/api/auth/login', { body: 'email=a', headers: form })).status,
    415,
    'no forms at the API',
  );
});

t.test('an administrator retries and removes through the ledger, and can do nothing behind its back', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  const run = { principalId: users.agent.id, role: 'agent' as const };
  const failed = await addRun(sql, { ...run, owner });
  await failRun(sql, owner, failed);
  const queued = await addRun(sql, { ...run, owner: null });
  await gateway.queues.deliver([
    { runId: queued, queue: 'workflows', priority: 5, dispatch: 0, workflowId: 1, suspect: false },
  ]);
  const admin = { ...(await cookieOf(gateway, 'admin')), origin };
  const act = (path: string, headers: Record<string, string> = admin, method = 'PUT') =>
    gateway.call(method, `/admin/queues/api/queues/${path}`, { headers });
  const list = (headers: Record<string, string>) =>
    gateway.call('GET', '/admin/queues/api/queues?activeQueue=workflows', { headers });
  const stateOf = async (id: string) => (await readRun(sql, id))?.state;

  const shown = [{ id: queued, data: { runId: queued } }];
  t.match((await list(admin)).body, {
    queues: [{ name: 'workflows', readOnlyMode: false, hasWorkers: null, jobs: shown }, { name: 'documents' }],
  });
  t.equal((await act(`workflows/${failed}/retry`)).status, 204);
  t.equal(await stateOf(failed), 'queued');
  t.match(await act(`workflows/${failed}-1000000/retry`), {
    status: 409,
    body: { code: 'conflict', error: /Only a failed run can be retried/ },
  });
  t.equal((await act(`workflows/${queued}/clean`)).status, 204);
  t.equal(await stateOf(queued), 'cancelled');
  t.equal((await act(`workflows/${queued}/clean`)).status, 409);
  t.equal((await act(`workflows/${crypto.randomUUID()}/clean`)).status, 404);
  t.equal((await act('workflows/17/retry')).status, 400);

  const writes = [
    ...[
      'pause',
      'resume',
      'empty',
      'promote',
      'obliterate',
      'concurrency',
      'rate-limit',
      'retry/failed',
      'clean/completed',
    ].map((name) => `workflows/${name}`),
    ...['promote', 'remove-unprocessed-children'].map((name) => `workflows/${failed}/${name}`),
    'pause',
    'resume',
  ];
  for (const path of writes) {
    t.match(await act(path), { status: 403, body: { error: /only retry and remove/ } }, path);
  }
  t.equal((await act('workflows/add', admin, 'POST')).status, 403);
  for (const name of ['update-data', 'delay', 'priority']) {
    t.equal((await act(`workflows/${failed}/${name}`, admin, 'PATCH')).status, 403, name);
  }
  t.equal((await act('../redis/stats', admin, 'GET')).status, 404, 'Redis shows nothing of itself');
  t.equal((await act('workflows/workers', admin, 'GET')).status, 404);
  t.same(await gateway.queues.counts('workflows'), {
    waiting: 0, // the retried one stands in the ledger's line
    prioritized: 0,
    active: 0,
    delayed: 0,
    completed: 0,
    failed: 0,
  });

  const noOrigin = { cookie: admin.cookie };
  t.equal((await act(`workflows/${failed}/clean`, noOrigin)).status, 403);
  t.equal((await act(`workflows/${failed}/clean`, { ...noOrigin, origin: 'https://evil.example' })).status, 403);
  for (const role of ['manager', 'analyst']) {
    const viewer = { ...(await cookieOf(gateway, role)), origin };
    t.equal((await act(`workflows/${failed}/clean`, viewer)).status, 403, role);
    const { body } = await list(viewer);
    t.match(body, { queues: [{ readOnlyMode: true }, { readOnlyMode: true }] }, role);
  }
  t.equal(await stateOf(failed), 'queued');
  await changeUserAccess(sql, users.manager.id, { role: 'admin' }); // the last administrator stays one
  await changeUserAccess(sql, users.admin.id, { role: 'agent' });
  await gateway.identity.policy.refresh();
  t.equal((await act(`workflows/${failed}/clean`)).status, 403, 'a cookie grants no more than its user may now');
});

t.test('an open page keeps its cookie fresh, an idle one loses it', async (t) => {
  const { addGateway, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const { session } = await gateway.identity.sessions.open(
    { userId: users.admin.id, lifetime: 3600, userAgent: null, address: null },
    { refreshable: false },
  );
  const claims = { sub: users.admin.id, sid: session.id, role: 'admin', epoch: 1 };
  const ask = (expiresIn: number) =>
    gateway.call('GET', '/admin/queues/api/queues', {
      headers: { cookie: `flowstate_session=${gateway.app.jwt.sign(claims, { expiresIn })}` },
    });
  t.same((await ask(14 * 60)).cookies, []);
  const renewed = await ask(5 * 60);
  t.same(
    renewed.cookies.map(({ path }) => path),
    ['/admin', '/api/runs'],
  );
  t.equal(
    (
      await gateway.call('GET', '/admin/queues', {
        headers: { cookie: `flowstate_session=${renewed.cookies[0]?.value}` },
      })
    ).status,
    200,
  );
  await gateway.identity.sessions.revoke({ id: session.id, userId: users.admin.id });
  t.match(await ask(5 * 60), { status: 401, cookies: [] });
});

t.test("nonsense in the address is the asker's fault, and Redis being away is said so", async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('analyst');
  const get = (path: string) => gateway.call('GET', `/admin/queues${path}`, { token });
  t.equal((await get('/api/queues?activeQueue=%E0%A4%A')).status, 400);
  t.equal((await get('/api/queues?status=%3Cscript%3E')).status, 400);
  t.equal((await get('/api/queues/__proto__/x')).status, 404);
  for (const path of ['/static/%2e%2e/package.json', '/static/..%5cindex.ejs', '/static/../index.ejs', '/%00']) {
    t.match((await get(path)).status, /^40[04]$/, path);
  }
  await gateway.cable.cut();
  t.match(await get('/api/queues'), {
    status: 503,
    headers: { 'retry-after': '1' },
    body: { error: /cannot be read/ },
  });
  t.equal((await get('')).status, 200, 'the page itself comes, by the session in Postgres');
});

t.test("Bull Board's page still has what our rules hide", async (t) => {
  const require = createRequire(createRequire(import.meta.url).resolve('@bull-board/api'));
  const dist = join(dirname(require.resolve('@bull-board/ui/package.json')), 'dist');
  t.match(await readFile(join(dist, 'index.ejs'), 'utf8'), /<link[^>]+fonts\.googleapis\.com[^>]*>/);
  const files = (await readdir(join(dist, 'static/js'), { recursive: true })).filter((file) => file.endsWith('.js'));
  const code = (await Promise.all(files.map((file) => readFile(join(dist, 'static/js', file), 'utf8')))).join('\n');
  for (const part of [
    '"jobActions-',
    '"queueActions-',
    '"editButton-',
    '"refresh-cw"',
    '"trash-2"',
    '"pencil"',
    '"ellipsis-vertical"',
  ]) {
    t.ok(code.includes(part), part);
  }
});
