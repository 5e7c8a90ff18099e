import { createCheck } from '@flowstate/contracts';
import { handBackRun, readSteps } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import type { Backend, Workflow } from '@flowstate/workflow';
import type { Static } from 'typebox';
import t from 'tap';
import { customerInsights } from '../src/workflows/customer-insights.ts';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';
import { createCrmServer } from './fixtures/crm-server.ts';
import * as fixture from './fixtures/customer-fixture.ts';

type Output = Static<typeof customerInsights.output>;

const { asOf, facts } = fixture;
const { sql } = await createTestDatabase(t);
const workflow = customerInsights as unknown as Workflow;
const stored = { ...fixture, search: (query: string) => (query.includes('renew') ? fixture.documents : []) };

const accept = (input: unknown) => acceptRun(sql, workflow, input);
const begin = (id: string, backend: Backend) => beginRun(sql, workflow, id, { backend });

async function insights(input: object, backend: Backend): Promise<Output> {
  const { done } = await begin(await accept(input), backend);
  const outcome = await done;
  if (outcome.state !== 'completed') throw new Error(JSON.stringify(outcome));
  return JSON.parse(JSON.stringify(outcome.output)) as Output;
}

t.test('a stored customer', async (t) => {
  const { backend, requests } = await createCrmServer(t, 'C1', stored);
  const id = await accept({ customerId: 'C1', asOf });
  const { done } = await begin(id, backend);
  const outcome = await done;
  t.equal(outcome.state, 'completed');
  const steps = await readSteps(sql, id);
  t.equal(steps.at(-1)?.name, 'reporting', 'last');
  t.same(
    new Set(steps.map(({ name, effect }) => `${name} ${effect}`)),
    new Set(['interaction pure', 'knowledge pure', 'sales-intelligence pure', 'integration pure', 'reporting pure']),
  );
  const { audience, kpis, details, briefing } = (outcome as { output: Output }).output;
  t.equal(audience, 'executive', 'the default');
  t.equal(kpis.find(({ name }) => name === 'expected-value')?.value, 14_608.5, '13,038 + 1,570.50');
  t.equal(details.knowledge.issues[0]?.citations[0]?.externalId, 'kb-17');
  t.match(briefing.markdown, '# Customer insight: “Acme 3000”');
  t.equal(requests.filter((request) => request.startsWith('GET')).length, 5, 'every row is read once');

  const again = await insights({ customerId: 'C1', asOf }, backend);
  t.same(again, JSON.parse(JSON.stringify((outcome as { output: Output }).output)), 'the same facts, the same report');
});

t.test('the same facts inline give the same figures', async (t) => {
  const { backend, requests } = await createCrmServer(t, 'C1', stored);
  const [fromStore, given] = [
    await insights({ customerId: 'C1', asOf }, backend),
    await insights({ facts, asOf }, backend),
  ];
  const figures = ({ kpis }: Output) =>
    kpis.map(({ name, value, previous, direction }) => ({ name, value, previous, direction }));
  t.same(figures(given), figures(fromStore));
  t.equal(given.briefing.markdown, fromStore.briefing.markdown);
  t.same(given.customer, { id: 'C1', externalId: 'C1', name: 'Acme 3000', segment: 'enterprise' });
  const wonRevenue = given.kpis.find(({ name }) => name === 'won-revenue')?.claim;
  t.same(given.claims.find(({ id }) => id === wonRevenue)?.evidence, { kind: 'opportunity', ids: ['h1', 'h2', 'h3'] });
  t.equal(requests.filter((request) => request.startsWith('GET')).length, 5, 'nothing was read for the second');
});

t.test('knowledge and reporting do not wait for what they do not need', { timeout: 20_000 }, async (t) => {
  const { backend } = await createCrmServer(t, 'C1', stored);
  const searched = Promise.withResolvers<void>();
  // Sales and integrations answer only after the search has begun: a workflow that ran them first would never end.
  const held: Backend = async (request, signal) => {
    if (request.operation === 'search.semantic') searched.resolve();
    if (request.operation === 'opportunities.list' || request.operation === 'integrations.list') await searched.promise;
    return backend(request, signal);
  };
  t.ok(await insights({ customerId: 'C1', asOf }, held));
});

t.test('a run that lost its worker goes on with what is recorded', async (t) => {
  const { backend, requests } = await createCrmServer(t, 'C1', stored);
  const reached = Promise.withResolvers<void>();
  const never = Promise.withResolvers<never>();
  const id = await accept({ customerId: 'C1' });
  const first = await begin(id, async (request, signal) => {
    if (request.operation !== 'customers.get') return backend(request, signal);
    reached.resolve();
    return never.promise;
  });
  await reached.promise;
  first.handBack();
  t.same(await first.done, { state: 'draining' });
  await handBackRun(sql, first.me, id);
  const before = requests.length;
  const second = await begin(id, backend);
  t.match(await second.done, { state: 'completed' });
  t.same(requests.slice(before), ['GET /api/customers/C1'], 'only the step under way ran again');
});

t.test('input that fails is refused by name', async (t) => {
  const check = createCheck(customerInsights.input, { root: 'input' });
  t.match(check({ customerId: 'C1' }), { audience: 'executive' });
  t.throws(() => check({}), { errors: [{ field: 'input.customerId' }, { field: 'input.facts' }] });
  t.throws(() => check({ customerId: '' }), { errors: [{ field: 'input.customerId' }] });
  t.throws(() => check({ customerId: 'C1', audience: 'press' }), { errors: [{ field: 'input.audience' }] });
  t.throws(() => check({ customerId: 'C1', asOf: 'today' }), { errors: [{ field: 'input.asOf' }] });
  t.throws(() => check({ customerId: 'C1', more: 1 }), { errors: [{ field: 'input.more' }] });
  t.throws(() => check({ facts: { ...facts, interactions: [{ externalId: 'x' }] } }), {
    errors: [{ field: 'input.facts.interactions.0.customer' }],
  });
  t.match(customerInsights.input.properties.customerId, { 'x-flowstate-entity': 'customer' });
});

t.test('a run that cannot be right fails and says why', async (t) => {
  const { backend } = await createCrmServer(t, 'C1', stored);
  const outcomeOf = async (input: object) => (await begin(await accept(input), backend)).done;
  const [message] = facts.interactions;
  const twice = { ...facts, interactions: [message, message] };
  t.match(await outcomeOf({ facts: twice }), {
    state: 'failed',
    error: { code: 'invalid_input', message: /interactions\.1\.externalId is given twice: p1/ },
  });
  const foreign = { ...facts, integrations: [{ ...facts.integrations[0], customer: 'C2' }] };
  t.match(await outcomeOf({ facts: foreign }), {
    state: 'failed',
    error: { message: /integrations\.0\.customer must be C1/ },
  });
  t.match(await outcomeOf({ customerId: '..' }), { state: 'failed', error: { code: 'not_found' } });
});
