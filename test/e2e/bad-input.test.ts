import { startPlatform } from '@flowstate/test';
import t from 'tap';

const platform = await startPlatform(t);
const manager = await platform.as('manager');
const runs = '/api/workflows/customer-insights/runs';
const good = { input: { customerId: 'nobody' } };

type Problem = { status: number; code: string; detail: string; requestId: string; errors?: { field: string }[] };

async function runCount(): Promise<number> {
  const [row] = await platform.database.sql<{ n: number }[]>`SELECT count(*)::int AS n FROM runs`;
  return row?.n ?? -1;
}

t.test('what is refused says why, in one form, and leaves nothing behind', async (t) => {
  const before = await runCount();
  const cases: [
    string,
    Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>,
    number,
    string,
    string?,
  ][] = [
    ['unknown workflow', manager.post('/api/workflows/nope/runs', { input: {} }), 404, 'not_found'],
    ['unknown customer', manager.post(runs, good), 404, 'not_found', 'input.customerId'],
    ['empty input', manager.post(runs, { input: {} }), 400, 'invalid_input', 'input.customerId'],
    ['wrong type', manager.post(runs, { input: { customerId: 7 } }), 400, 'invalid_input', 'input.customerId'],
    [
      'unknown field in input',
      manager.post(runs, { input: { customerId: 'x', colour: 'red' } }),
      400,
      'invalid_input',
      'input.colour',
    ],
    ['no input at all', manager.post(runs, {}), 400, 'invalid_input', 'input'],
    ['unknown field', manager.post(runs, { ...good, nonsense: 1 }), 400, 'invalid_input', 'nonsense'],
    ['unknown priority', manager.post(runs, { ...good, priority: 10 }), 400, 'invalid_input', 'priority'],
    ['malformed JSON', manager.post(runs, '{"input":', { 'content-type': 'application/json' }), 400, 'invalid_input'],
    ['no content type', manager.post(runs, 'hello', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    [
      'a body over 1 MiB',
      manager.post(runs, { input: { customerId: 'x'.repeat(1024 * 1024) } }),
      413,
      'payload_too_large',
    ],
    ['unknown path', manager.get('/api/nothing'), 404, 'not_found'],
    ['unknown run', manager.get('/api/runs/019a0000-0000-7000-8000-000000000000'), 404, 'not_found'],
    ['no run id', manager.get('/api/runs/1'), 400, 'invalid_input', 'params.id'],
    ['a limit of 0', manager.get('/api/runs?limit=0'), 400, 'invalid_input', 'querystring.limit'],
    ['a limit of 201', manager.get('/api/runs?limit=201'), 400, 'invalid_input', 'querystring.limit'],
    ['a NUL as a tag', manager.get('/api/runs?tag=%00'), 400, 'invalid_input', 'querystring.tag'],
    ['a NUL as a workflow', manager.get('/api/runs?workflow=%00'), 400, 'invalid_input', 'querystring.workflow'],
    ['a slip in a filter', manager.get('/api/runs?sate=failed'), 400, 'invalid_input', 'querystring.sate'],
    ['a made-up cursor', manager.get('/api/runs?cursor=abc'), 400, 'invalid_input', 'querystring.cursor'],
    [
      'a made-up event id',
      manager.get('/api/runs/019a0000-0000-7000-8000-000000000000/events', { 'last-event-id': '-1' }),
      404,
      'not_found',
    ],
  ];
  for (const [name, answer, status, code, field] of cases) {
    const { status: got, body, headers } = await answer;
    const problem = body as Problem;
    t.equal(got, status, name);
    t.match(headers.get('content-type'), 'application/problem+json', name);
    t.match(problem, { code, requestId: headers.get('x-request-id') }, name);
    if (field !== undefined)
      t.ok(
        problem.errors?.some((error) => error.field === field),
        `${name}: names ${field} (${JSON.stringify(problem.errors)})`,
      );
  }
  t.equal(await runCount(), before, 'nothing was accepted');
  t.match((await manager.post(runs, { input: {} })).body, {
    detail: 'input.customerId is required, unless facts is given; input.facts is required, unless customerId is given',
  });
  t.match((await manager.post(runs, '{"input":{"__proto__":1}}', { 'content-type': 'application/json' })).body, {
    errors: [{ field: 'body', message: /key __proto__/ }],
  });
  t.equal((await manager.get('/api/ready?t=1')).status, 200, 'what keeps caches out of a probe is nothing wrong');
});

t.test('wrong, missing and foreign credentials', async (t) => {
  const send = (headers: Record<string, string>) =>
    fetch(new URL(runs, platform.gateway.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(good),
    });
  for (const headers of [
    {},
    { authorization: 'Bearer nonsense' },
    { authorization: 'Basic YTpi' },
    { authorization: `Bearer ${manager.token}x` },
  ]) {
    const answer = await send(headers);
    t.equal(answer.status, 401, JSON.stringify(headers).slice(0, 40));
    t.equal(answer.headers.get('www-authenticate'), 'Bearer error="invalid_token"');
  }
  const analyst = await platform.as('analyst');
  t.equal((await analyst.post(runs, good)).status, 403, 'an analyst may read runs, not start them');
  t.equal((await analyst.get('/api/runs')).status, 200);
  const wrong = await manager.post('/api/auth/login', { email: 'manager@flowstate.local', password: 'wrong' });
  const unknown = await manager.post('/api/auth/login', { email: 'nobody@flowstate.local', password: 'wrong' });
  t.equal(wrong.status, 401);
  t.equal((wrong.body as Problem).detail, (unknown.body as Problem).detail, 'nobody learns which users exist');
});

t.test('idempotency: same body the same run, another body 409, two at once one run', async (t) => {
  const facts = {
    facts: { customer: { externalId: 'X', name: 'X' }, interactions: [], opportunities: [], integrations: [] },
  };
  const send = (key: string, input: unknown) =>
    manager.post<{ id: string }>(runs, { input }, { 'idempotency-key': key });
  const [a, b] = await Promise.all([send('k', facts), send('k', facts)]);
  t.equal(a.status, 202);
  t.equal(a.body.id, b.body.id);
  t.equal(a.headers.get('location'), b.headers.get('location'));
  t.equal((await send('k', facts)).body.id, a.body.id);
  const other = await send('k', { facts: { ...facts.facts, customer: { externalId: 'Y', name: 'Y' } } });
  t.equal(other.status, 409);
  t.equal((await manager.post(runs, { input: facts }, { 'idempotency-key': 'x'.repeat(256) })).status, 400);
});

t.test('principals see their own runs only, unless their role sees all', async (t) => {
  const facts = {
    facts: { customer: { externalId: 'X', name: 'X' }, interactions: [], opportunities: [], integrations: [] },
  };
  const agent = await platform.as('agent');
  const service = await platform.as('service');
  const { body } = await agent.post<{ id: string }>(runs, { input: facts });
  t.equal((await service.get(`/api/runs/${body.id}`)).status, 404);
  t.equal((await service.post(`/api/runs/${body.id}/cancel`)).status, 404);
  t.equal((await agent.get(`/api/runs/${body.id}`)).status, 200);
  t.equal((await manager.get(`/api/runs/${body.id}`)).status, 200);
  const own = await service.get<{ items: unknown[] }>('/api/runs');
  t.same(own.body.items, []);
});
