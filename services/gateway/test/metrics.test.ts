import { once } from 'node:events';
import { request, type ClientRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const { addGateway } = await createGatewayFixture(t);
const token = 'metrics-token-of-this-test';
const { app, call, metrics, tokenOf } = await addGateway({ METRICS_TOKEN: token });
const manager = await tokenOf('manager');

/** Every series, without its value. */
const series = async () =>
  new Set(
    (await metrics.registry.metrics()).match(/^[^#\s]\S*(?=\s)/gm)?.filter((name) => !/^(nodejs|process)_/.test(name)),
  );

t.test('metrics need the bearer when one is configured', async (t) => {
  for (const wrong of [undefined, 'wrong', `${token}x`, manager]) {
    const refused = await call('GET', '/api/metrics', wrong === undefined ? {} : { token: wrong });
    t.match(refused, { status: 401, body: { code: 'invalid_token' } });
    t.match(refused.headers['www-authenticate'], /^Bearer error="invalid_token"/);
    t.notMatch(refused.text, 'http_requests');
  }
  t.match(await call('GET', '/api/metrics', { token }), { status: 200, text: /^http_requests_active /m });
});

t.test('ten thousand paths, and tags, ids and names nobody knows, make not one more series', async (t) => {
  const strange = (i: number) => call('GET', `/no/such/path-${i}`);
  const kinds = [
    strange,
    (i: number) => call('GET', `/api/runs?tag=tag-${i}`, { token: manager }),
    (i: number) => call('GET', `/api/customers/customer-${i}`, { token: manager }),
    (i: number) => call('POST', `/api/workflows/workflow-${i}/runs`, { token: manager, body: { input: {} } }),
    (i: number) => call('POST', '/api/runs/cancel', { token: manager, body: { tag: `tag-${i}` } }),
  ];
  for (const ask of kinds) await ask(0);
  const before = await series();
  for (let i = 0; i < 10_000; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, n) => strange(i + n)));
  }
  for (let i = 0; i < 100; i++) await Promise.all(kinds.map((ask) => ask(i)));
  t.same(await series(), before);
  t.ok(before.has('http_request_duration_seconds_count{method="GET",route="__unknown__",status_code="404"}'));
  t.ok(before.size < 500, `${before.size} series`);
});

t.test('a client that hangs up is no active request any more', async (t) => {
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const path = '/api/workflows/none/runs';
  const headers = { authorization: `Bearer ${manager}`, 'content-type': 'application/json', 'content-length': '100' };
  const active = async () => (await metrics.httpActive.get()).values[0]?.value;
  const until = async (wanted: number) => {
    while ((await active()) !== wanted) await new Promise((next) => setImmediate(next));
  };
  t.equal(await active(), 0);
  // The body never comes: the request is being answered until its client goes.
  const held: ClientRequest[] = Array.from({ length: 5 }, () => request({ port, path, method: 'POST', headers }));
  for (const each of held) {
    each.on('error', () => {});
    each.write('{');
  }
  await until(5);
  for (const each of held) each.destroy();
  await until(0);
  const answered = request({ port, path: '/api/health' }).end();
  const [response] = (await once(answered, 'response')) as [NodeJS.ReadableStream];
  await once(response.resume(), 'end');
  await until(0);
  t.equal(await active(), 0);
});
