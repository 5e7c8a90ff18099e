import { publishWorkflow } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const { sql, addGateway } = await createGatewayFixture(t);
const { app, tokenOf } = await addGateway();
await publishWorkflow(sql, {
  name: 'any',
  version: '1',
  description: '',
  queue: 'workflows',
  input: {},
  output: {},
});
const token = await tokenOf('admin');
const run = '018f0000-0000-7000-8000-000000000000';

/** Bodies as text: what JSON.stringify would write is what was parsed, not what was sent. */
async function send(method: 'POST' | 'PATCH', url: string, payload: string) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const { statusCode: status, body } = await app.inject({ method, url, headers, payload });
  return { status, body: JSON.parse(body) };
}

t.test('what would change while it is read is refused by field, wherever JSON is kept', async (t) => {
  const schedule = await send('POST', '/api/schedules', '{"workflow":"any","everyMs":3600000,"input":{"n":1}}');
  t.equal(schedule.status, 201);
  const places = [
    ['POST', '/api/workflows/any/runs', (n: string) => `{"input":{"a":[{"n":${n}}]}}`, 'input.a.0.n'],
    ['POST', '/api/schedules', (n: string) => `{"workflow":"any","everyMs":3600000,"input":{"n":${n}}}`, 'input.n'],
    ['PATCH', `/api/schedules/${schedule.body.id}`, (n: string) => `{"input":{"n":${n}}}`, 'input.n'],
    ['POST', `/api/runs/${run}/signals/go`, (n: string) => `{"data":${n}}`, 'data'],
    ['POST', `/api/runs/${run}/resolve`, (n: string) => `{"outcome":"happened","output":{"n":${n}}}`, 'output.n'],
  ] as const;
  for (const [method, path, body, field] of places) {
    for (const n of ['1e400', '-1e400', '12345678901234567890', '-9007199254740992']) {
      const errors = [{ field, message: /send it as text$/ }];
      t.match(await send(method, path, body(n)), { status: 400, body: { errors } }, `${path}: ${n}`);
    }
    for (const n of [
      '9007199254740991',
      '-9007199254740991',
      '1e-400',
      '0.1234567890123456789',
      '6.02e23',
      '"1e400"',
    ]) {
      t.not((await send(method, path, body(n))).status, 400, `${path}: ${n}`);
    }
  }
  const [{ count } = { count: -1 }] = await sql<{ count: number }[]>`SELECT count(*) FROM runs`;
  t.equal(count, 6);
});

t.test('many complaints are cut short, and depth is no way around them', async (t) => {
  const many = await send('POST', '/api/workflows/any/runs', `{"input":[${Array(500).fill('1e400').join()}]}`);
  t.equal(many.body.errors.length, 100);
  t.match(many.body.errors, [{ field: 'input.0' }, { field: 'input.1' }], 'the first ones');
  const deep = `{"input":${'['.repeat(1_000)}1e400${']'.repeat(1_000)}}`;
  t.match(await send('POST', '/api/workflows/any/runs', deep), {
    status: 400,
    body: { errors: [{ field: /^input/ }] },
  });
});
