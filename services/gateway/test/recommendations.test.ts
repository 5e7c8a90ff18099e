import type { OpportunityInput, Recommendation, RecommendationsAnswer } from '@flowstate/contracts';
import { createEmbedder } from '@flowstate/models';
import {
  findDocuments,
  storeEmbeddings,
  upsertCustomers,
  upsertDocuments,
  upsertOpportunities,
  type Sql,
} from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const numbers = [1, 2, 3, 4, 5, 6];
const texts = {
  stream: 'Stream shows events from lorries on dashboards within seconds of being sent',
  govern: 'Govern limits which rows a person sees and keeps an audit log of permissions',
  bread: 'A sourdough needs flour, water, salt and a long night of rest',
};

/** Haulers who bought Stream, banks that bought Govern, more of the latter; and the documents about both. */
async function fill(sql: Sql): Promise<Record<keyof typeof texts, string>> {
  const common = { segment: 'smb', employees: 100, owner: 'x' };
  await upsertCustomers(sql, [
    ...numbers.map((n) => ({ ...common, externalId: `H${n}`, name: `Hauler ${n}`, industry: 'Haulage' })),
    ...[...numbers, 7, 8, 9].map((n) => ({ ...common, externalId: `B${n}`, name: `Bank ${n}`, industry: 'banking' })),
    { ...common, externalId: 'new-hauler', name: 'New', industry: 'haulage' },
    { externalId: 'stranger', name: 'Nothing is known' },
  ]);
  const won = (customer: string, product: string, name: string): OpportunityInput => {
    const dates = { openedAt: '2025-01-01T00:00:00Z', closedAt: '2025-02-01T00:00:00Z' };
    return { ...dates, externalId: `${customer}-${product}`, customer, product, name, owner: 'x', stage: 'won' };
  };
  await upsertOpportunities(sql, [
    ...numbers.map((n) => won(`H${n}`, 'Stream', 'Events from lorries')),
    ...[...numbers, 7, 8, 9].map((n) => won(`B${n}`, 'Govern', 'Audit of permissions')),
    { ...won('H1', 'Forecast', 'Demand'), stage: 'lost' },
  ]);
  const entries = Object.entries(texts);
  const stored = await upsertDocuments(
    sql,
    entries.map(([externalId, text]) => ({ externalId, text, title: `About ${externalId}` })),
  );
  const embedder = createEmbedder({ kind: 'offline' });
  const documents = await findDocuments(
    sql,
    stored.map(({ id }) => id),
  );
  const vectors = await embedder.embed(documents.map(({ text }) => text));
  await embedder.close();
  const items = documents.map(({ id, contentHash }, i) => ({ id, contentHash, embedding: vectors[i] ?? [] }));
  await storeEmbeddings(sql, { model: embedder.model, items });
  return Object.fromEntries(entries.map(([name], i) => [name, stored[i]?.id ?? ''])) as Record<
    keyof typeof texts,
    string
  >;
}

t.test('what helped similar customers is recommended, with reasons, and follows what is said of it', async (t) => {
  const { sql, users, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const tokens = {
    admin: await gateway.tokenOf('admin'),
    manager: await gateway.tokenOf('manager'),
    agent: await gateway.tokenOf('agent'),
    analyst: await gateway.tokenOf('analyst'),
    service: await gateway.tokenOf('service'),
  };
  type Who = keyof typeof tokens;
  const ask = async (customerId: string, more: object = {}, who: Who = 'agent') => {
    const body = { customerId, ...more };
    const answer = await gateway.call('POST', '/api/search/recommendations', { token: tokens[who], body });
    return { status: answer.status, body: answer.body as unknown as RecommendationsAnswer };
  };
  const say = async (id: string | null, body: object, who: Who = 'agent') =>
    gateway.call('POST', `/api/search/recommendations/${id}/feedback`, { token: tokens[who], body });
  const itemOf = ({ body }: { body: RecommendationsAnswer }, item: string): Recommendation | undefined =>
    body.items.find((one) => one.item === item);
  const titles = ({ body }: { body: RecommendationsAnswer }) => body.items.map(({ title }) => title);

  await upsertCustomers(sql, [{ externalId: 'first', name: 'First' }]);
  t.match(await ask('first'), { status: 200, body: { basis: 'nothing', similar: [], items: [] } }, 'nothing is known');
  const ids = await fill(sql);

  await t.test('computed and cited', async (t) => {
    const answer = await ask('new-hauler');
    t.match(answer.body, { basis: 'similar-customers', customer: { externalId: 'new-hauler' } });
    const actions = answer.body.items.filter(({ kind }) => kind === 'action');
    t.same(
      actions.map(({ item }) => item),
      ['Stream', 'Govern'],
      'what haulers bought, though banks bought more; not what was lost',
    );
    t.same(
      answer.body.similar.slice(0, 6).map(({ externalId }) => externalId),
      numbers.map((n) => `H${n}`),
    );
    t.match(answer.body.similar[0], { common: ['industry', 'segment', 'size'], similarity: 7 / 7 });
    const [bySimilar, byAll] = actions[0]?.reasons ?? [];
    t.equal(bySimilar?.text, '6 of 15 similar customers bought Stream');
    t.equal(byAll?.text, '6 of 15 other customers who bought anything bought Stream');
    t.match(bySimilar?.customers[0], {
      externalId: 'H1',
      similarity: 1,
      opportunities: [{ externalId: 'H1-Stream', name: 'Events from lorries', closedAt: '2025-02-01T00:00:00.000Z' }],
    });
    const document = itemOf(answer, ids.stream);
    t.match(document, { kind: 'document', title: 'About stream', document: { externalId: 'stream' } });
    t.match(document?.reasons, [
      { kind: 'about-recommended-product', text: /^about Stream \(similarity 0\.\d\d\): 6 of 15/ },
    ]);
    t.equal(itemOf(answer, ids.bread), undefined);
    t.same((await ask('new-hauler', { kinds: ['document'], limit: 1 })).body.items.length, 1);
  });

  await t.test(
    'a customer of whom nothing is known gets what helped most; nothing before anything was won',
    async (t) => {
      const cold = await ask('stranger', { kinds: ['action'] });
      t.match(cold.body, { basis: 'all-customers', similar: [], items: [{ item: 'Govern' }, { item: 'Stream' }] });
      t.match(cold.body.items[0]?.reasons, [{ kind: 'won-by-all', customers: [] }]);
      const back = await ask('new-hauler', { asOf: '2025-02-01T00:00:00Z' });
      t.match(back.body, { id: null, basis: 'nothing', items: [] });
      t.match((await ask('new-hauler', { asOf: '2025-02-01T00:00:00.001Z' })).body, {
        id: null,
        items: [{ item: 'Stream' }],
      });
      t.same(titles(await ask('H2', { kinds: ['action'] })), ['Offer Govern'], 'not what the customer has bought');
    },
  );

  await t.test('only for whoever may read customers', async (t) => {
    t.equal((await ask('new-hauler', {}, 'analyst')).status, 200);
    t.equal((await ask('new-hauler', {}, 'service')).status, 404);
    t.equal((await ask('nobody')).status, 404);
    const lock = { target: 'data:read', roles: ['admin'], reason: 'a test', seconds: 60 };
    const { body } = await gateway.call('POST', '/api/admin/access', { token: tokens.admin, body: lock });
    t.equal((await ask('new-hauler')).status, 404, 'a lockdown of the data holds here, too');
    await gateway.call('DELETE', `/api/admin/access/${String(body['id'])}`, { token: tokens.admin });
    t.equal((await ask('new-hauler')).status, 200);
    const documentsFor = async (who: Who) => (await ask('new-hauler', { kinds: ['document'] }, who)).body.items.length;
    const visibility = (now: 'private' | 'shared') => {
      const body = { visibility: now, ownerId: users.manager.id };
      return gateway.call('PUT', '/api/collections/knowledge', { token: tokens.admin, body });
    };
    await visibility('private');
    t.same([await documentsFor('agent'), await documentsFor('manager')], [0, 2], 'documents only for who sees them');
    await visibility('shared');
    const refused = async (more: object, field: string) =>
      t.match(await ask('new-hauler', more), { status: 400, body: { errors: [{ field }] } }, field);
    await refused({ limit: 0 }, 'limit');
    await refused({ kinds: ['advice'] }, 'kinds.0');
    await refused({ asOf: 'yesterday' }, 'asOf');
    await refused({ colour: 'red' }, 'colour');
  });

  await t.test('within the ceilings of searches, and says so', async (t) => {
    t.notOk('clamped' in (await ask('new-hauler', { limit: 20 })).body);
    const limit = { scope: 'role', subject: 'agent', maxSearchLimit: 2, minSearchThreshold: 1 };
    await gateway.call('PUT', '/api/admin/limits', { token: tokens.admin, body: limit });
    const { body } = await ask('new-hauler', { limit: 20 });
    t.same(body.clamped, { limit: 2, threshold: 1 });
    t.same(titles({ body }), ['Offer Stream', 'Offer Govern'], 'no document is so near');
    t.notOk('clamped' in (await ask('new-hauler', { limit: 20 }, 'analyst')).body);
    await gateway.call('DELETE', '/api/admin/limits?scope=role&subject=agent', { token: tokens.admin });
  });

  await t.test('feedback is recorded once, may change, and is heard', async (t) => {
    const asked = await ask('H1');
    const { id } = asked.body;
    const govern = { kind: 'action', item: 'Govern' };
    const bread = { kind: 'document', item: ids.bread };
    t.match(await say(id, { ...govern, helpful: true }), { status: 200, body: { helpful: true, changed: false } });
    t.match(await say(id, { ...govern, helpful: true }), { status: 200, body: { changed: false } });
    t.match(await say(id, { ...govern, helpful: false }), { status: 200, body: { helpful: false, changed: true } });
    t.equal((await say(id, { ...govern, helpful: true }, 'analyst')).status, 404, 'it is not theirs');
    t.equal((await say(id, { ...govern, helpful: true }, 'manager')).status, 200, 'a manager sees all');
    t.equal((await say(users.agent.id, { ...govern, helpful: true })).status, 404);
    t.equal((await say('x', { ...govern, helpful: true })).status, 400);
    t.match(await say(id, { ...bread, helpful: true }), { status: 400, body: { errors: [{ field: 'item' }] } });
    t.match(await say(id, { ...govern }), { status: 400, body: { errors: [{ field: 'helpful' }] } });
    const rows =
      await sql`SELECT kind, item, helpful FROM recommendation_feedback ORDER BY principal_id = ${users.agent.id}`;
    t.same(
      [...rows],
      [
        { ...govern, helpful: true },
        { ...govern, helpful: false },
      ],
    );
    const text = await gateway.metrics.registry.metrics();
    t.match(text, 'recommendation_feedback_total{kind="action",helpful="true"} 2');
    t.match(text, 'recommendation_feedback_total{kind="action",helpful="false"} 1');
    const log = await gateway.call('GET', '/api/admin/audit?action=recommendation.feedback&limit=200', {
      token: tokens.admin,
    });
    const entries = log.body['items'] as { action: string; actor: string; subject: string; outcome: string }[];
    t.match(
      entries.find(({ outcome, actor }) => outcome === 'success' && actor === users.manager.id),
      { subject: id },
    );

    const streamDocument = { kind: 'document', item: ids.stream };
    const before = itemOf(await ask('new-hauler'), ids.stream);
    // Someone like them finds the document about Govern helpful: it was about something haulers did not buy.
    t.equal((await say(id, { kind: 'document', item: ids.govern, helpful: true })).status, 200);
    const after = await ask('new-hauler');
    t.match(itemOf(after, ids.govern)?.reasons[0], {
      kind: 'helpful-for-similar',
      text: 'called helpful 1 and not helpful 0 times for similar customers',
      customers: [{ externalId: 'H1', similarity: 1, opportunities: [] }],
    });
    t.ok(
      (itemOf(after, ids.govern)?.score ?? 0) > (before?.score ?? 1),
      'known to help comes before what is only about it',
    );
    t.equal((await say(after.body.id, { ...streamDocument, helpful: false })).status, 200);
    const stream = async () => itemOf(await ask('new-hauler'), ids.stream);
    t.equal(await stream(), undefined, 'does not help this customer');
    const helps = (role: Who) => say(after.body.id, { ...streamDocument, helpful: true }, role);
    t.equal((await helps('manager')).status, 200);
    t.equal(await stream(), undefined, 'whoever dismissed it does not see it again for one other opinion');
    t.equal((await helps('admin')).status, 200);
    t.ok(await stream(), 'more people call it helpful');
    t.ok(itemOf(await ask('stranger'), ids.govern), 'known by all customers, where nobody similar is');
    t.equal((await gateway.call('DELETE', `/api/documents/${ids.govern}`, { token: tokens.manager })).status, 204);
    t.equal(itemOf(await ask('new-hauler'), ids.govern), undefined, 'what is deleted is recommended no more');
  });
});
