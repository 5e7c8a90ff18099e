import { createCheck, FlowstateError, type AgentWebhookAnswer } from '@flowstate/contracts';
import type { Backend, BackendRequest, Tool } from '@flowstate/workflow';
import type { TSchema } from 'typebox';
import t from 'tap';
import { calculate } from '../src/tools/calculate.ts';
import { createFollowUp } from '../src/tools/create-follow-up.ts';
import { customerFacts } from '../src/tools/customer-facts.ts';
import { customerIntegrations } from '../src/tools/customer-integrations.ts';
import { customerOpportunities } from '../src/tools/customer-opportunities.ts';
import { searchDocuments } from '../src/tools/search-documents.ts';
import { sendWebhook } from '../src/tools/send-webhook.ts';
import { createCrmServer } from './fixtures/crm-server.ts';
import * as facts from './fixtures/customer-fixture.ts';

const hit = {
  id: '01900000-0000-7000-8000-000000000001',
  externalId: 'kb-1',
  collection: 'knowledge',
  title: 'Export',
  text: 'x'.repeat(10_000),
  metadata: { secret: 'not for the model' },
  similarity: 0.512345,
};
const { backend, requests } = await createCrmServer(t, 'C1', { ...facts, search: () => [hit] });

/** Calls a tool as the loop does: input and output checked, through JSON. */
async function call<I extends TSchema, O extends TSchema>(tool: Tool<I, O>, input: unknown, through = backend) {
  const context = {
    runId: 'run',
    signal: new AbortController().signal,
    backend: through,
    idempotencyKey: 'run:brief/tool#3.2',
  };
  const given = createCheck(tool.input, { root: 'input' })(structuredClone(input));
  return createCheck(tool.output)(JSON.parse(JSON.stringify(await tool.run(context, given))));
}

t.test('reading tools show rows with ids, bounded', async (t) => {
  const shown = await call(customerFacts, { customer: 'C1', interactions: 2 });
  t.match(shown, { customer: { externalId: 'C1' }, interactionCount: 10 });
  t.equal(shown.interactions.length, 2);
  const open = await call(customerOpportunities, { customer: 'C1', state: 'open' });
  t.match(open, { count: 2, opportunities: [{ externalId: 'o1' }, { externalId: 'o2' }] });
  t.equal((await call(customerOpportunities, { customer: 'C1', state: 'closed' })).count, 4);
  t.notMatch(JSON.stringify(open), /history/);
  t.match(await call(customerIntegrations, { customer: 'C1' }), { count: 3 });
  const { documents } = await call(searchDocuments, { query: 'export' });
  t.match(documents, [{ externalId: 'kb-1', similarity: 0.5123 }]);
  t.equal(documents[0]?.text.length, 4_000);
  t.notMatch(JSON.stringify(documents), /secret/);
  await t.rejects(call(customerFacts, { customer: '..' }), { code: 'not_found' });
  await t.rejects(call(searchDocuments, { query: ' ' }), { code: 'invalid_input', errors: [{ field: 'input.query' }] });
  await t.rejects(call(searchDocuments, { query: 'x', limit: 99 }), { errors: [{ field: 'input.limit' }] });
});

t.test('figures are computed from rows it reads itself', async (t) => {
  const rows = { rows: 'opportunities', customer: 'C1' };
  const won = { field: 'stage', is: 'eq', value: 'won' };
  const over = async (op: string, more: object) =>
    (await call(calculate, { op, over: { ...rows, ...more } })) as object;
  // Won of C1: 10,000 + 12,000 + 14,000; lost: 9,000; open: 20,000 and one without an amount.
  t.same(await over('sum', { field: 'amount', where: [won] }), {
    id: 'f3.2',
    op: 'sum',
    value: 36_000,
    from: ['h1', 'h2', 'h3'],
    count: 3,
    skipped: 0,
  });
  t.match(await over('avg', { field: 'amount' }), { value: 13_000, count: 5, skipped: 1 });
  t.match(await over('min', { field: 'amount' }), { value: 9_000 });
  t.match(await over('max', { field: 'amount' }), { value: 20_000 });
  t.match(await over('median', { field: 'amount' }), { value: 12_000 });
  t.match(await over('count', {}), { value: 6 });
  t.match(await over('count', { where: [{ field: 'amount', is: 'ge', value: 12_000 }] }), { value: 3 });
  t.match(await over('count', { where: [{ field: 'openedAt', is: 'ge', value: '2026-05-21' }] }), { value: 2 });
  t.match(await over('count', { where: [{ field: 'amount', is: 'eq', value: null }] }), { value: 1 });
  t.match(await over('sum', { field: 'nonsense' }), { value: 0, count: 0, skipped: 6 });
  t.match(await over('sum', { field: '__proto__' }), { value: 0 });
  await t.rejects(over('avg', { field: 'nonsense' }), {
    code: 'not_found',
    message: /no row has a number in nonsense/,
  });
  await t.rejects(over('sum', {}), { code: 'invalid_input', message: /over\.field/ });
});

t.test('and from figures and rows that are named', async (t) => {
  const a = { value: 36_000, from: 'f2.1' };
  const b = { op: 'count', rows: 'opportunities', customer: 'C1' };
  const of = (op: string, more: object = { a, b }) => call(calculate, { op, ...more });
  t.match(await of('ratio'), { value: 6_000, from: ['f2.1', 'o1', 'o2', 'h1', 'h2', 'h3', 'h7'] });
  const tenth = { value: 0.1, from: 'x.y' };
  const fifth = { value: 0.2, from: 'x.z' };
  t.match(await of('add', { a: tenth, b: fifth }), { value: 0.3, from: ['x.y', 'x.z'] });
  t.match(await of('difference', { a: tenth, b: fifth }), { value: -0.1 });
  t.match(await of('product', { a: tenth, b: fifth }), { value: 0.02 });
  t.match(await of('percent', { a: tenth, b: fifth }), { value: 50 });
  t.match(await of('percent_change', { a: tenth, b: fifth }), { value: -50 });
  t.match(await of('sum', { over: { given: [tenth, fifth] } }), { value: 0.3, from: ['x.y', 'x.z'] });
  const zero = { value: 0, from: 'x' };
  await t.rejects(of('ratio', { a, b: zero }), { code: 'invalid_input', message: /input\.b is 0/ });
  await t.rejects(of('product', { a: { value: 1e308, from: 'x' }, b: { value: 1e308, from: 'x' } }), {
    message: /finite/,
  });
  for (const wrong of [{ a }, {}, { a, b, over: b }, { over: { rows: 'opportunities', customer: 'C1' } }]) {
    await t.rejects(of('ratio', wrong), { code: 'invalid_input' }, JSON.stringify(wrong));
  }
  await t.rejects(of('sum', { a, b }), { code: 'invalid_input' });
  await t.rejects(of('power'), { errors: [{ field: 'input.op' }] });
  await t.rejects(of('add', { a: { value: 'NaN', from: 'x' }, b: zero }), { code: 'invalid_input' });
  await t.rejects(of('add', { a: { value: 5 }, b: zero }), { code: 'invalid_input' }, 'a number without a source');
});

t.test('a part of the rows is no sum', async (t) => {
  const many = Array.from({ length: 2_001 }, (_, n) => ({ ...facts.openOpportunities[0], externalId: `m${n}` }));
  const large = await createCrmServer(t, 'C9', { customer: facts.customer, opportunities: many });
  const over = { rows: 'opportunities', customer: 'C9', field: 'amount' };
  await t.rejects(call(calculate, { op: 'sum', over }, large.backend), { message: /more than 2000 opportunities/ });
});

/** A far end that answers one thing, and what it was asked. */
function answering(answer: unknown): { through: Backend; asked: BackendRequest<TSchema>[] } {
  const asked: BackendRequest<TSchema>[] = [];
  const through: Backend = async (request) => {
    asked.push(request);
    if (answer instanceof Error) throw answer;
    return createCheck(request.response)(answer);
  };
  return { through, asked };
}

t.test('a follow-up carries the key of its call', async (t) => {
  const made = {
    id: hit.id,
    customer: 'C1',
    subject: 'Call',
    note: null,
    due: null,
    createdBy: hit.id,
    run: hit.id,
    createdAt: '2026-06-30T12:00:00.000Z',
  };
  const { through, asked } = answering(made);
  t.match(await call(createFollowUp, { customer: 'C1', subject: 'Call' }, through), { id: hit.id });
  t.match(asked, [
    { path: '/api/customers/C1/follow-ups', idempotencyKey: 'run:brief/tool#3.2', body: { subject: 'Call' } },
  ]);
  t.equal(createFollowUp.effect, 'keyed');
  for (const customer of ['../C2', 'C1/../C2', 'C2?x=']) {
    await call(createFollowUp, { customer, subject: 'x' }, through);
    t.match(asked.at(-1)?.path, /^\/api\/customers\/[^/?]+\/follow-ups$/, customer);
  }
  await t.rejects(call(createFollowUp, { customer: '..', subject: 'x' }, through), { code: 'not_found' });
  await t.rejects(call(createFollowUp, { customer: 'C1' }, through), { errors: [{ field: 'input.subject' }] });
});

t.test('a webhook that may have gone out puts the run aside; one that has not does not', async (t) => {
  const body = { url: 'https://example.com/', message: {} };
  const answer = (outcome: AgentWebhookAnswer['outcome'], status: number | null = null) =>
    answering({ id: hit.id, outcome, status, error: outcome === 'delivered' ? null : 'why' }).through;
  t.same(await call(sendWebhook, body, answer('delivered', 204)), { status: 204 });
  await t.rejects(call(sendWebhook, body, answer('unknown')), { code: 'timeout' });
  await t.rejects(call(sendWebhook, body, answer('refused', 500)), { code: 'upstream_failed', retryable: false });
  await t.rejects(call(sendWebhook, body, answer('unsent')), { code: 'upstream_failed', retryable: false });
  const away = answering(new FlowstateError('unavailable', 'away')).through;
  await t.rejects(call(sendWebhook, body, away), { code: 'timeout' });
  const forbidden = answering(new FlowstateError('forbidden', 'Nobody has approved this webhook')).through;
  await t.rejects(call(sendWebhook, body, forbidden), { code: 'forbidden' });
  t.match(sendWebhook, { effect: 'unsafe', approval: true });
});

t.test('nothing but the gateway was asked', async (t) => {
  t.ok(requests.length > 0 && requests.every((request) => /^(GET|POST) \/api\//.test(request)), requests.join());
});
