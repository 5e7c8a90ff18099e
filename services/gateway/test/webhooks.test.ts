import { publishWorkflow, readWebhook } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const secret = { WEBHOOK_SECRET: 'a secret of at least 24 bytes' };
const start = '/api/workflows/probe/runs';
const hook = 'https://hooks.example.com/in/token-of-mine?key=secret';

const { sql, addGateway } = await createGatewayFixture(t);
await publishWorkflow(sql, {
  name: 'probe',
  version: '1',
  description: '',
  queue: 'workflows',
  input: {},
  output: {},
});
const gateway = await addGateway(secret);
const token = await gateway.tokenOf('service');
const post = (webhookUrl: unknown, from = gateway) =>
  from.call('POST', start, { token, body: { input: {}, webhookUrl } });

t.test('a URL no webhook may go to is a 400 that names it, and nothing is accepted', async (t) => {
  for (const url of [
    'http://127.0.0.1:9/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://localhost/',
    'https://user:password@example.com/',
    'ftp://example.com/',
    'http://example.com:22/',
    'nonsense',
    `https://example.com/${'x'.repeat(2048)}`,
    7,
    null,
  ]) {
    const { status, body } = await post(url);
    t.equal(status, 400, String(url).slice(0, 60));
    t.match(body, { code: 'invalid_input', errors: [{ field: 'webhookUrl' }] }, String(url).slice(0, 60));
  }
  t.match(await sql`SELECT count(*)::int AS n FROM runs`, [{ n: 0 }]);
});

t.test('without a secret to sign with a webhook is refused, a run without one is not', async (t) => {
  const silent = await addGateway();
  t.match(await post(hook, silent), {
    status: 400,
    body: { errors: [{ field: 'webhookUrl', message: /WEBHOOK_SECRET/ }] },
  });
  t.equal((await silent.call('POST', start, { token, body: { input: {} } })).status, 202);
});

t.test('a secret that protects nothing does not boot', async (t) => {
  await t.rejects(addGateway({ WEBHOOK_SECRET: 'q8Xz0vK1p4R7tYw2Ns5J' }), { message: /^WEBHOOK_SECRET must have/ });
});

t.test('private addresses where the configuration allows them', async (t) => {
  const open = await addGateway({ ...secret, WEBHOOK_ALLOW_PRIVATE: 'true' });
  t.equal((await post('http://127.0.0.1:9000/', open)).status, 202);
});

t.test('the log shows where it goes, not the secrets in the URL, to those who may see the run', async (t) => {
  const { status, body } = await post(hook);
  t.equal(status, 202);
  const url = `/api/runs/${String(body['id'])}/webhook`;
  const shown = await gateway.call('GET', url, { token });
  t.same(shown.body, { endpoint: 'https://hooks.example.com', deliveries: [] });
  t.equal((await gateway.call('GET', url, { token: await gateway.tokenOf('analyst') })).status, 200);
  t.equal((await gateway.call('GET', url, { token: await gateway.tokenOf('agent') })).status, 404);
  t.match(await sql`SELECT webhook_url FROM runs WHERE id = ${String(body['id'])}`, [{ webhook_url: hook }]);
  const plain = await gateway.call('POST', start, { token, body: { input: {} } });
  t.equal((await gateway.call('GET', `/api/runs/${String(plain.body['id'])}/webhook`, { token })).status, 404);
});

t.test('telling it again: only after the end, by whoever may control the run', async (t) => {
  const { body } = await post(hook);
  const id = String(body['id']);
  const again = `/api/runs/${id}/webhook/redeliver`;
  t.match(await gateway.call('POST', again, { token }), { status: 409, body: { detail: /has not ended/ } });
  t.equal((await gateway.call('POST', `/api/runs/${id}/cancel`, { token })).status, 202);
  await sql`UPDATE webhook_deliveries SET state = 'given_up', due_at = NULL, failures = 9 WHERE run_id = ${id}`;
  t.equal((await gateway.call('POST', again, { token: await gateway.tokenOf('analyst') })).status, 403);
  t.equal((await gateway.call('POST', again, { token: await gateway.tokenOf('agent') })).status, 404);
  t.match(await readWebhook(sql, id), { deliveries: [{ state: 'given_up', nextTryAt: null }] });
  t.match(await gateway.call('POST', again, { token }), {
    status: 202,
    body: { deliveries: [{ id: `${id}.1`, state: 'pending', nextTryAt: /Z$/, tries: 0, log: [] }] },
  });
  t.match(await sql`SELECT failures FROM webhook_deliveries WHERE run_id = ${id}`, [{ failures: 0 }]);
});
