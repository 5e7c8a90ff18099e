import t from 'tap';
import { createCrmFixture } from './fixtures/crm-fixture.ts';

const { call } = await createCrmFixture(t);
const unknown = {
  industry: null,
  segment: null,
  country: null,
  employees: null,
  annualRevenue: null,
  owner: null,
  since: null,
};

await t.test('a customer is created, read by both ids, replaced', async (t) => {
  const externalId = 'Ärger & Söhne / 1?';
  const created = await call('POST', '/api/customers', {
    externalId,
    name: 'Ärger',
    since: '1996-02-29',
    employees: 3,
  });
  t.equal(created.status, 201);
  const { id } = created.body;
  t.equal(created.headers.get('location'), `/api/customers/${String(id)}`);
  const whole = { ...unknown, id, externalId, name: 'Ärger', since: '1996-02-29', employees: 3 };
  t.same(created.body, whole, 'every optional column is there');
  t.same((await call('GET', `/api/customers/${String(id)}`)).body, whole);
  t.same((await call('GET', `/api/customers/${encodeURIComponent(externalId)}`)).body, whole);
  const again = await call('POST', '/api/customers', { externalId, name: 'New name' });
  t.match(again, { status: 200, body: { id, name: 'New name', employees: null } });
  t.equal((await call('GET', '/api/customers/nobody')).status, 404);
  t.equal((await call('GET', '/api/customers/%00')).status, 404);
  t.equal((await call('GET', `/api/customers/${'x'.repeat(255)}`)).status, 404);
  const long = 'ü'.repeat(255);
  t.equal((await call('POST', '/api/customers', { externalId: long, name: 'Long' })).status, 201);
  t.equal((await call('GET', `/api/customers/${encodeURIComponent(long)}`)).status, 200);
});

await t.test('wrong bodies are refused naming the field', async (t) => {
  const field = async (body: unknown, path = '/api/customers') => {
    const answer = await call('POST', path, body);
    t.equal(answer.status, 400, JSON.stringify(body));
    return answer.body.errors?.map((error) => error.field);
  };
  t.same(await field({ name: 'x' }), ['externalId']);
  t.same(await field({ externalId: 'a', name: 'x', since: '2025-02-30' }), ['since']);
  t.same(await field({ externalId: 'a', name: 'x', employees: 1.5, colour: 'red' }), ['colour', 'employees']);
  t.same(await field({ externalId: 'a', name: 'x', employees: 1e20 }), ['employees']);
  t.same(await field({ externalId: 'a\u0000', name: 'x' }), ['externalId']);
  t.same(await field([]), ['body']);
  t.same(await field('null'), ['body']);
  const interaction = {
    externalId: 'i',
    customer: 'nobody',
    channel: 'email',
    direction: 'inbound',
    at: '2026-01-01T00:00:00Z',
    text: 'x',
  };
  t.same(await field(interaction, '/api/interactions'), ['customer']);
  t.same(await field({ ...interaction, channel: 'fax', at: 'today' }, '/api/interactions'), ['at', 'channel']);
  t.same(await field({ ...interaction, at: '0000-01-01T00:00:00Z' }, '/api/interactions'), ['at']);
  t.equal((await call('POST', '/api/customers', '{')).status, 400);
});

await t.test('an opportunity tells what is known of its history', async (t) => {
  await call('POST', '/api/customers', { externalId: 'H', name: 'H' });
  const history = async (row: Record<string, unknown>) => {
    const base = { externalId: 'h', customer: 'H', product: 'P', owner: 'O' };
    const answer = await call('POST', '/api/opportunities', { ...base, ...row });
    t.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  const at = '2026-01-02T00:00:00.000Z';
  const later = '2026-02-03T10:30:00.000Z';
  t.match(await history({ stage: 'Demo', openedAt: '2026-01-02', amount: 10.5 }), {
    stage: 'demo',
    amount: 10.5,
    openedAt: at,
    closedAt: null,
    name: null,
    customer: 'H',
    history: [{ stage: 'demo', at }],
  });
  t.same((await history({ stage: 'WON', openedAt: at, closedAt: '2026-02-03T11:30:00+01:00' })).history, [
    { stage: 'won', at: later },
  ]);
  t.same((await history({ stage: 'won', openedAt: at })).history, []);
  t.same((await history({ stage: 'demo' })).history, []);
  const told = [
    { stage: 'Won ', at: later },
    { stage: 'lead', at },
  ];
  t.same((await history({ stage: 'won', closedAt: later, history: told })).history, [
    { stage: 'lead', at },
    { stage: 'won', at: later },
  ]);
  const wrong = await call('POST', '/api/opportunities', {
    externalId: 'h',
    customer: 'H',
    product: 'P',
    owner: 'O',
    stage: 'won',
    history: [{ stage: 'lead', at: '2026-02-31' }],
  });
  t.match(wrong, { status: 400, body: { errors: [{ field: 'history.0.at' }] } });
});

await t.test('lists page newest first and filter', async (t) => {
  await call('POST', '/api/customers', { externalId: 'L', name: 'L' });
  for (let i = 0; i < 5; i++) {
    const at = `2026-01-0${i + 1}T00:00:00Z`;
    const common = { externalId: `l${i}`, customer: 'L' };
    await call('POST', '/api/interactions', { ...common, channel: 'call', direction: 'inbound', at, text: 'x' });
    const stage = ['lead', 'won', 'lost', 'lead', 'won'][i];
    await call('POST', '/api/opportunities', { ...common, stage, product: i < 3 ? 'A' : 'B', owner: 'O' });
    await call('POST', '/api/integrations', { ...common, name: 'n', kind: 'crm', status: 'active' });
  }
  const ids = async (path: string) => {
    const seen: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await call('GET', `${path}&limit=2${cursor ? `&cursor=${cursor}` : ''}`);
      t.equal(page.status, 200, path);
      seen.push(...page.body.items.map((item) => item.externalId));
      cursor = page.body.nextCursor as string | null;
    }
    return seen;
  };
  const all = ['l4', 'l3', 'l2', 'l1', 'l0'];
  for (const kind of ['interactions', 'opportunities', 'integrations']) {
    t.same(await ids(`/api/${kind}?customer=L`), all, kind);
    t.same(await ids(`/api/customers/L/${kind}?`), all, `a customer's ${kind}`);
    t.equal((await call('GET', `/api/${kind}?customer=nobody`)).status, 404);
    t.equal((await call('GET', `/api/customers/nobody/${kind}`)).status, 404);
    t.match(await call('GET', `/api/${kind}?cursor=what`), {
      status: 400,
      body: { errors: [{ field: 'querystring.cursor' }] },
    });
    t.equal((await call('GET', `/api/${kind}?limit=201`)).status, 400);
  }
  t.same(await ids('/api/interactions?customer=L&since=2026-01-04T00:00:00Z'), ['l4', 'l3']);
  t.same(await ids('/api/interactions?customer=L&since=2026-01-04T02:00:00%2B02:00'), ['l4', 'l3']);
  t.same(await ids('/api/customers/L/opportunities?closed=true'), ['l4', 'l2', 'l1']);
  t.same(await ids('/api/opportunities?customer=L&closed=false&product=B'), ['l3']);
  t.same(await ids('/api/opportunities?customer=L&stage=Won&owner=O'), ['l4', 'l1']);
  t.equal((await call('GET', '/api/opportunities?owner=%00')).status, 400);
  t.equal((await call('GET', '/api/opportunities?closed=maybe')).status, 400);
  const rates = await call('GET', '/api/opportunities/base-rates');
  t.match(
    rates.body.items.find((rate) => rate.dimension === 'product' && rate.value === 'B'),
    { closed: 1, won: 1 },
  );
});

await t.test('roles: analysts read, services do neither, strangers are asked who they are', async (t) => {
  t.equal((await call('GET', '/api/customers', undefined, 'analyst')).status, 200);
  t.equal((await call('POST', '/api/customers', { externalId: 'x', name: 'x' }, 'analyst')).status, 403);
  t.equal((await call('GET', '/api/customers', undefined, 'service')).status, 403);
  t.equal((await call('GET', '/api/customers', undefined, 'nobody')).status, 401);
});
