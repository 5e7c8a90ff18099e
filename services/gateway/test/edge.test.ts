import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { FlowstateError } from '@flowstate/contracts';
import Fastify from 'fastify';
import { pino } from 'pino';
import t from 'tap';
import type { App } from '../src/gateway-app.ts';
import { enforceDeadline } from '../src/deadline.ts';
import { problemErrors } from '../src/problem.ts';
import { createGatewayFixture, type Gateway } from './fixtures/gateway-fixture.ts';

const set = (gateway: Gateway, token: string, name: string, value: unknown) =>
  gateway.call('PUT', `/api/admin/flags/${name}`, { token, body: { value, reason: 'spike' } });

t.test('every answer states its policy; other origins get nothing unless they are named', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const [closed, open] = [
    await addGateway(),
    await addGateway({ CORS_ORIGINS: 'https://app.example.org, https://b.example.org' }),
  ];
  const { headers } = await closed.call('GET', '/api/health');
  t.match(headers, {
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'strict-transport-security': /max-age=/,
    'x-frame-options': 'SAMEORIGIN',
  });
  t.notOk(headers['x-powered-by']);
  const page = await closed.call('GET', '/api/docs/');
  t.match(String(page.headers['content-security-policy']), /'self'/, 'a page may load what is its own');
  const login = await closed.call('GET', '/admin/login');
  t.match(String(login.headers['content-security-policy']), /style-src 'sha256-/);

  const preflight = (gateway: Gateway, origin: string) =>
    gateway.call('OPTIONS', '/api/runs', {
      headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
    });
  t.notOk((await preflight(closed, 'https://app.example.org')).headers['access-control-allow-origin']);
  const allowed = await preflight(open, 'https://b.example.org');
  t.match(allowed, { status: 204, headers: { 'access-control-allow-origin': 'https://b.example.org' } });
  t.notOk(allowed.headers['access-control-allow-credentials'], 'cookies stay at home');
  t.notOk((await preflight(open, 'https://evil.example.org')).headers['access-control-allow-origin']);
  const answer = await open.call('GET', '/api/health', { headers: { origin: 'https://app.example.org' } });
  t.match(String(answer.headers['access-control-expose-headers']), /retry-after/);
});

t.test('oversized headers are refused before anything reads them', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = gateway.app.server.address() as AddressInfo;
  const status = await new Promise((resolve, reject) => {
    const request = httpRequest({ port, path: '/api/health', headers: { 'x-large': 'x'.repeat(20_000) } });
    request.once('response', (response) => resolve(response.resume().statusCode));
    request.once('error', reject);
    request.end();
  });
  t.equal(status, 431);
});

t.test('a compressed body is refused before it is read, by every route that takes one', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const { app, tokenOf } = await addGateway();
  const headers = { authorization: `Bearer ${await tokenOf('admin')}` };
  const gzip = gzipSync('{}');
  const send = async (
    method: 'POST' | 'PUT' | 'PATCH',
    url: string,
    type: string,
    encoding: string,
    payload = gzip,
  ) => {
    const sent = { ...headers, 'content-type': type, 'content-encoding': encoding };
    const answer = await app.inject({ method, url, headers: sent, payload });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json<{ errors?: object[] }>() };
  };
  const refused = {
    status: 415,
    headers: { 'content-type': /^application\/problem\+json/, 'accept-encoding': 'identity' },
    body: { code: 'unsupported_media_type', errors: [{ field: 'headers.content-encoding' }] },
  };
  const json = 'application/json';
  const run = '018f0000-0000-7000-8000-000000000000';
  for (const [method, url, type] of [
    ['POST', '/api/documents', json],
    ['POST', '/api/documents', 'application/x-ndjson'],
    ['POST', '/api/import?entity=customers', 'text/csv'],
    ['POST', '/api/search/semantic', json],
    ['POST', '/api/workflows/any/runs', json],
    ['POST', `/api/runs/${run}/signals/go`, json],
    ['PUT', '/api/collections/some', json],
    ['PATCH', `/api/schedules/${run}`, json],
    ['POST', '/api/auth/login', json],
  ] as const) {
    t.match(await send(method, url, type, 'gzip'), refused, `${method} ${url} as ${type}`);
  }
  for (const encoding of ['br', 'x-unknown', 'identity, gzip', 'GZIP']) {
    t.match(await send('POST', '/api/documents', json, encoding), refused, encoding);
  }
  for (const encoding of ['identity', 'Identity', '']) {
    const plain = await send('POST', '/api/documents', json, encoding, Buffer.from('{}'));
    t.match(plain, { status: 400, body: { errors: [{ field: 'text' }] } }, `"${encoding}" is read`);
  }
  const nobody = { 'content-type': json, 'content-encoding': 'gzip' };
  const answer = await app.inject({ method: 'POST', url: '/api/documents', headers: nobody, payload: gzip });
  t.equal(answer.statusCode, 401, 'who may not ask is told that');
});

t.test('flags and limits change while both gateways run', async (t) => {
  const { addGateway, users } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const [admin, manager] = [await here.tokenOf('admin'), await here.tokenOf('manager')];
  const flags = (await here.call('GET', '/api/admin/flags', { token: admin })).body as { items: object[] };
  t.match(flags.items[0], { name: 'runs.start', value: true, default: true, reason: null });
  const start = (gateway: Gateway) =>
    gateway.call('POST', '/api/workflows/nothing/runs', { token: manager, body: { input: {} } });
  t.equal((await start(there)).status, 404);
  t.match(await set(here, admin, 'runs.start', false), {
    status: 200,
    body: { value: false, updatedBy: 'admin@example.org' },
  });
  const off = await start(here);
  t.match(off, { status: 503, body: { code: 'unavailable', detail: /runs\.start/ } });
  t.ok(Number(off.headers['retry-after']) > 0);
  await there.identity.policy.refresh();
  t.equal((await start(there)).status, 503);
  t.equal((await there.call('GET', '/api/customers', { token: manager })).status, 200, 'nothing else is off');
  t.equal((await here.call('DELETE', '/api/admin/flags/runs.start', { token: admin })).status, 200);
  t.equal((await start(here)).status, 404);
  t.equal((await here.call('DELETE', '/api/admin/flags/runs.start', { token: admin })).status, 404);
  t.match(here.audited, [
    { action: 'flag.set', actor: users.admin.id, subject: 'runs.start', details: { before: true, value: false } },
    { action: 'flag.reset', details: { before: false } },
  ]);
  await set(here, admin, 'search', false);
  for (const [method, path] of [
    ['POST', 'semantic'],
    ['POST', 'hybrid'],
    ['GET', 'similar/some'],
    ['POST', 'recommendations'],
  ] as const) {
    const search = await here.call(method, `/api/search/${path}`, { token: manager });
    t.match(search, { status: 503, body: { detail: /\(search\)/ } }, path);
  }
  for (const [name, value] of [
    ['runs.start', 5],
    ['rate.principal', false],
    ['rate.principal', 0],
    ['anything', true],
  ] as const) {
    t.equal((await set(here, admin, name, value)).status, 400, `${name}=${String(value)}`);
  }
});

t.test('a principal has its share of requests over all gateways, also without Redis; others keep theirs', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const [admin, manager, analyst] = [
    await here.tokenOf('admin'),
    await here.tokenOf('manager'),
    await here.tokenOf('analyst'),
  ];
  await set(here, admin, 'rate.principal', 50);
  await there.identity.policy.refresh();
  const ask = async (gateway: Gateway, token: string) => (await gateway.call('GET', '/api/auth/me', { token })).status;
  const many = async (gateway: Gateway, token: string, n: number) => {
    const statuses = await Promise.all(Array.from({ length: n }, () => ask(gateway, token)));
    return statuses.filter((status) => status === 200).length;
  };
  t.equal(await many(here, manager, 30), 30);
  await here.rates.sync();
  await there.rates.sync();
  t.equal(await many(there, manager, 10), 10);
  await there.rates.sync(); // learns of the 30
  t.equal(await many(there, manager, 30), 10, 'together fifty');
  const refused = await there.call('GET', '/api/auth/me', { token: manager });
  t.match(refused, { status: 429, body: { code: 'rate_limited' } });
  t.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 60);
  t.equal(await ask(there, analyst), 200, 'others keep their share');
  t.equal((await here.call('GET', '/api/health')).status, 200, 'and what is open is open');

  await here.cable.cut();
  t.equal(await many(here, analyst, 60), 50, 'each gateway counts for itself without Redis');
});

t.test('an address that proves nothing is refused; whoever proves something passes', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [admin, manager] = [await gateway.tokenOf('admin'), await gateway.tokenOf('manager')];
  await set(gateway, admin, 'rate.address', 20);
  const guess = async (token: string) =>
    (await gateway.call('GET', '/api/auth/me', { token, address: '192.0.2.9' })).status;
  const statuses = await Promise.all(
    Array.from({ length: 30 }, (_, n) => guess(`fsk_${'a'.repeat(12)}_${String(n).padStart(43, '0')}`)),
  );
  t.equal(statuses.filter((status) => status === 401).length, 20);
  t.equal(statuses.filter((status) => status === 429).length, 10);
  t.equal(await guess(manager), 200, 'its neighbours with a login are not locked out');
  t.equal((await gateway.call('GET', '/api/openapi.json', { address: '192.0.2.9' })).status, 429);
  t.equal((await gateway.call('GET', '/api/ready', { address: '192.0.2.9' })).status, 200, 'monitoring is');
  t.equal((await gateway.call('GET', '/api/openapi.json', { address: '192.0.2.10' })).status, 200);
});

t.test('a gateway with too much to do says so, and still answers its monitoring', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('manager');
  const ask = () => gateway.call('GET', '/api/auth/me', { token });
  const admin = await gateway.tokenOf('admin');
  t.equal((await ask()).status, 200);
  await set(gateway, admin, 'shed.lag-ms', 200);
  // Its event loop stands still until the next measurement says so.
  let answer = await ask();
  while (answer.status === 200) {
    const until = performance.now() + 1_500;
    while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve));
    answer = await ask();
  }
  t.match(answer, { status: 503, body: { code: 'unavailable' }, headers: { 'retry-after': '2' } });
  t.equal((await gateway.call('GET', '/api/health')).status, 200);
  do {
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer = await ask();
  } while (answer.status === 503);
  t.equal(answer.status, 200, 'and recovers');
});

t.test(
  'whoever waits too long is answered; how the work ends after that is no mistake, unless it is one',
  async (t) => {
    const lines: { level: number; msg: string }[] = [];
    const loggerInstance = pino(
      {},
      { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) },
    );
    const app = Fastify({ loggerInstance, disableRequestLogging: true }) as unknown as App;
    t.teardown(() => app.close());
    problemErrors(app);
    enforceDeadline(app);
    const ends = {
      well: async () => ({ done: true }),
      badly: () => Promise.reject(new FlowstateError('timeout', 'nothing came')),
      wrongly: () => Promise.reject(new TypeError('a bug')),
    };
    let answered = Promise.withResolvers<void>();
    let ended = Promise.withResolvers<void>();
    app.get<{ Params: { how: keyof typeof ends } }>('/:how', { config: { deadlineMs: 1 } }, async ({ params }) => {
      await answered.promise;
      setImmediate(ended.resolve); // by then Fastify has seen the end, too
      return await ends[params.how]();
    });
    const told = async (how: keyof typeof ends) => {
      [answered, ended, lines.length] = [Promise.withResolvers(), Promise.withResolvers(), 0];
      t.match(await app.inject(`/${how}`), { statusCode: 503, headers: { 'retry-after': '2' } }, how);
      answered.resolve();
      await ended.promise;
      return lines.map((line) => line.msg);
    };
    t.same(await told('well'), ['no answer in time']);
    t.same(await told('badly'), ['no answer in time']);
    t.same(await told('wrongly'), ['no answer in time', 'request failed after its deadline']);
  },
);
