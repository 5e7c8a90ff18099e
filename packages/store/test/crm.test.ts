import { createTestDatabase } from '@flowstate/test';
import type { OpportunityInput } from '@flowstate/contracts';
import t from 'tap';
import {
  findCustomer,
  findCustomerId,
  findIntegration,
  findInteraction,
  findOpportunity,
  listCustomers,
  listInteractions,
  listOpportunities,
  readBaseRates,
  upsertCustomers,
  upsertIntegrations,
  upsertInteractions,
  upsertOpportunities,
} from '../src/index.ts';

const { sql } = await createTestDatabase(t);
const none = {
  industry: null,
  segment: null,
  country: null,
  employees: null,
  annualRevenue: null,
  owner: null,
  since: null,
};

await t.test('an upsert says per row what became of it and leaves unchanged rows unwritten', async (t) => {
  const acme = {
    externalId: 'Acme / Söhne',
    name: 'Acme',
    employees: 12,
    annualRevenue: 1100040000.1,
    since: '1996-01-01',
  };
  const globex = { externalId: 'Globex', name: 'Globex' };
  t.same(await upsertCustomers(sql, [acme, globex]), ['inserted', 'inserted']);
  const stored = await findCustomer(sql, 'Acme / Söhne');
  t.same(stored, { ...none, ...acme, id: stored?.id });

  const versions = () => sql`SELECT external_id, xmin::text, ctid::text FROM customers ORDER BY 1`;
  const before = await versions();
  t.same(await upsertCustomers(sql, [globex, acme]), ['unchanged', 'unchanged']);
  t.same(
    (await versions()).map((row) => [row.external_id, row.ctid]),
    before.map((row) => [row.external_id, row.ctid]),
    'no new row versions',
  );
  const { employees: _, ...withoutEmployees } = acme;
  t.same(
    await upsertCustomers(sql, [{ externalId: 'New', name: 'New' }, withoutEmployees, globex]),
    ['inserted', 'updated', 'unchanged'],
    'in the order of the rows, not of the keys',
  );
  t.equal((await findCustomer(sql, 'Acme / Söhne'))?.employees, null, 'what the row does not say is gone');
  t.equal((await findCustomer(sql, 'Acme / Söhne'))?.id, stored?.id, 'the id stays');
});

await t.test('a customer is found by our id, in any case, before by its external id', async (t) => {
  const id = (await findCustomerId(sql, 'Globex')) as string;
  t.equal(await findCustomerId(sql, id.toUpperCase()), id);
  await upsertCustomers(sql, [{ externalId: id, name: 'Confusing' }]);
  t.equal((await findCustomer(sql, id))?.name, 'Globex');
  t.equal(await findCustomerId(sql, 'globex'), null, 'external ids are exact');
  t.equal(await findCustomer(sql, '018f0000-0000-7000-8000-000000000000'), null);
});

await t.test('rows of an unknown customer are left out alone', async (t) => {
  const base = { channel: 'email', direction: 'inbound', at: '2026-01-02T03:04:05.678Z', text: 'Hello' } as const;
  const id = (await findCustomerId(sql, 'Globex')) as string;
  const rows = [
    { ...base, externalId: 'i1', customer: 'Globex' },
    { ...base, externalId: 'i2', customer: 'Nobody' },
    { ...base, externalId: 'i3', customer: id },
  ];
  t.same(await upsertInteractions(sql, rows), ['inserted', 'unknown-customer', 'inserted']);
  t.same(await upsertInteractions(sql, rows), ['unchanged', 'unknown-customer', 'unchanged']);
  const read = await findInteraction(sql, 'i3');
  t.same(read, {
    ...base,
    id: read?.id,
    externalId: 'i3',
    customer: 'Globex',
    thread: null,
    author: null,
    subject: null,
  });
  t.equal(await findInteraction(sql, 'i2'), null);
});

await t.test('interactions come newest first by their time, page by page, from a time on', async (t) => {
  await upsertCustomers(sql, [{ externalId: 'Pages', name: 'Pages' }]);
  const customerId = (await findCustomerId(sql, 'Pages')) as string;
  // Two at each moment, imported oldest first and in one batch.
  const rows = Array.from({ length: 10 }, (_, i) => ({
    externalId: `p${i}`,
    customer: 'Pages',
    channel: 'call' as const,
    direction: 'outbound' as const,
    at: `2026-03-0${1 + Math.floor(i / 2)}T00:00:00.001Z`,
    text: 'x',
  }));
  await upsertInteractions(sql, rows);
  const seen: string[] = [];
  let before: { at: string; id: string } | undefined;
  for (let page = 0; page < 5; page++) {
    const items = await listInteractions(sql, { customerId, before, limit: 3 });
    seen.push(...items.map((item) => item.externalId));
    before = items.at(-1) ?? before;
  }
  t.same(seen, ['p9', 'p8', 'p7', 'p6', 'p5', 'p4', 'p3', 'p2', 'p1', 'p0']);
  const since = await listInteractions(sql, { customerId, since: '2026-03-05T00:00:00.001Z', limit: 10 });
  t.same(
    since.map((item) => item.externalId),
    ['p9', 'p8'],
    'the moment itself is included',
  );
});

await t.test('integrations keep status and incidents', async (t) => {
  const incidents = [{ openedAt: '2026-01-01T00:00:00.000Z', closedAt: null, summary: 'Down' }];
  const row = { externalId: 'g1', customer: 'Globex', name: 'CRM', kind: 'crm', status: 'down' as const, incidents };
  t.same(await upsertIntegrations(sql, [row]), ['inserted']);
  t.same(await upsertIntegrations(sql, [row]), ['unchanged']);
  const read = await findIntegration(sql, 'g1');
  t.same(read, {
    ...row,
    id: read?.id,
    latencyMs: null,
    lastSyncAt: null,
    syncIntervalMinutes: null,
    errorCount24h: 0,
  });
  t.same(await upsertIntegrations(sql, [{ ...row, incidents: [] }]), ['updated']);
});

// Three won (two with an amount), two lost, two open; the figures below are counted by hand from these lines.
const day = (date: string) => `${date}T00:00:00.000Z`;
const deals: OpportunityInput[] = [
  deal('d1', 'Basic', 'Ann', 'won', 100.1, '2026-01-01', '2026-01-31', ['lead', 'demo', 'lead', 'won']), // 30 days
  deal('d2', 'Basic', 'Ann', 'won', 200.2, '2026-01-01', '2026-02-01', ['demo', 'won']), // 31 days
  deal('d3', 'Pro', 'Bob', 'won', null, '2026-01-01', null, []), // no age
  deal('d4', 'Pro', 'Ann', 'lost', 900, '2026-01-01', '2026-06-30', ['demo', 'lost']), // 180 days
  deal('d5', 'Pro', 'Bob', 'lost', null, '2026-01-01', '2026-07-01', ['lead']), // 181 days
  deal('d6', 'Pro', 'Bob', 'demo', 5_000, '2026-01-01', null, ['lead', 'demo']),
  deal('d7', 'New', 'Cai', 'lead', null, null, null, []),
];

function deal(
  externalId: string,
  product: string,
  owner: string,
  stage: string,
  amount: number | null,
  opened: string | null,
  closed: string | null,
  stages: string[],
): OpportunityInput {
  const history = stages.map((name) => ({ stage: name, at: day('2026-01-01') }));
  const openedAt = opened === null ? null : day(opened);
  return {
    externalId,
    customer: 'Globex',
    product,
    owner,
    stage,
    amount,
    openedAt,
    closedAt: closed === null ? null : day(closed),
    history,
  };
}

await t.test('without closed opportunities the base rates say nothing but that', async (t) => {
  t.same(await readBaseRates(sql), [
    { dimension: 'all', value: '', closed: 0, won: 0, wonAmount: 0, wonWithAmount: 0 },
  ]);
});

await t.test('base rates count closed opportunities once per dimension and value', async (t) => {
  await upsertOpportunities(sql, deals);
  const rate = (
    dimension: string,
    value: string,
    closed: number,
    won: number,
    wonAmount: number,
    wonWithAmount: number,
  ) => ({
    dimension,
    value,
    closed,
    won,
    wonAmount,
    wonWithAmount,
  });
  t.same(await readBaseRates(sql), [
    rate('all', '', 5, 3, 300.3, 2),
    rate('stage', 'demo', 3, 2, 300.3, 2),
    rate('stage', 'lead', 2, 1, 100.1, 1),
    rate('product', 'Basic', 2, 2, 300.3, 2),
    rate('product', 'Pro', 3, 1, 0, 0),
    rate('owner', 'Ann', 3, 2, 300.3, 2),
    rate('owner', 'Bob', 2, 1, 0, 0),
    rate('age', '0-30', 1, 1, 100.1, 1),
    rate('age', '181+', 1, 0, 0, 0),
    rate('age', '31-60', 1, 1, 200.2, 1),
    rate('age', '91-180', 1, 0, 0, 0),
  ]);
});

await t.test('opportunities are read whole, newest first, and filtered', async (t) => {
  const read = await findOpportunity(sql, 'd1');
  t.same(read, { ...deals[0], id: read?.id, name: null });
  const ids = async (filter: Omit<Parameters<typeof listOpportunities>[1], 'limit'>) =>
    (await listOpportunities(sql, { ...filter, limit: 50 })).map((item) => item.externalId);
  t.same(await ids({}), ['d7', 'd6', 'd5', 'd4', 'd3', 'd2', 'd1']);
  t.same(await ids({ before: (await findOpportunity(sql, 'd3'))?.id }), ['d2', 'd1']);
  t.same(await ids({ closed: false }), ['d7', 'd6']);
  t.same(await ids({ closed: true, product: 'Pro', owner: 'Bob' }), ['d5', 'd3']);
  t.same(await ids({ stage: 'lost' }), ['d5', 'd4']);
  t.same(await ids({ customerId: (await findCustomerId(sql, 'Pages')) as string }), []);
});

await t.test('two imports of the same rows in opposite order do not deadlock', async (t) => {
  const rows = Array.from({ length: 200 }, (_, i) => ({ externalId: `dl${i}`, name: `n${i}` }));
  const outcomes = await Promise.all([
    upsertCustomers(sql, rows),
    upsertCustomers(sql, rows.toReversed()),
    upsertCustomers(sql, rows),
  ]);
  t.equal(outcomes.flat().filter((outcome) => outcome === 'inserted').length, 200);
  t.equal((await listCustomers(sql, { limit: 200 })).length, 200);
});
