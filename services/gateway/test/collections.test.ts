import { createEmbedder } from '@flowstate/models';
import { publishWorkflow, readRun } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

const embedding = Array.from({ length: 384 }, (_, i) => i + 1);
const given = { embedding, model: 'all-MiniLM-L6-v2' };
type Items = { id: string; name?: string; action?: string; outcome?: string }[];

/** Nobody listens there. */
const away = createEmbedder({ kind: 'endpoint', baseUrl: 'http://127.0.0.1:9', model: 'away', attempts: 1 });
t.teardown(() => away.close());

t.test('collections: owners, grants, settings, end', async (t) => {
  const { sql, users, secrets, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway({}, [away]);
  const tokens = {
    admin: await gateway.tokenOf('admin'),
    manager: await gateway.tokenOf('manager'),
    integration: await gateway.tokenOf('integration'),
    analyst: await gateway.tokenOf('analyst'),
  };
  type Who = keyof typeof tokens;
  const as = (who: Who, method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown) =>
    gateway.call(method, `/api/${path}`, { token: tokens[who], ...(body !== undefined && { body }) });
  const search = (who: Who, question: object = { collection: 'plans' }) =>
    as(who, 'POST', 'search/semantic', { query: 'refunds', threshold: -1, ...question });

  await t.test('a private one exists for its owner and those granted access only', async (t) => {
    t.match(await as('manager', 'PUT', 'collections/plans', { visibility: 'private' }), {
      status: 201,
      headers: { location: '/api/collections/plans' },
      body: { ownerId: users.manager.id, visibility: 'private', model: null, grants: [] },
    });
    const document = { externalId: 'p', collection: 'plans', text: 'Refunds end in May', ...given };
    const stored = await as('manager', 'POST', 'documents', document);
    const id = (stored.body['documents'] as Items)[0]?.id ?? '';
    t.match(await search('manager'), { status: 200, body: { items: [{ id }] } });

    for (const hidden of [
      await search('integration'),
      await as('integration', 'GET', `documents/${id}`),
      await as('integration', 'DELETE', `documents/${id}`),
      await as('integration', 'DELETE', `documents?collection=plans&filter=${encodeURIComponent('{"a":1}')}`),
      await as('integration', 'POST', 'documents', { ...document, text: 'Mine now' }),
      await as('integration', 'GET', 'collections/plans'),
      await as('integration', 'PUT', 'collections/plans', { visibility: 'shared' }),
      await as('integration', 'DELETE', 'collections/plans'),
      await as('integration', 'PUT', `collections/plans/grants/users/${users.integration.id}`),
    ]) {
      t.equal(hidden.status, 404);
    }
    const handed = { model: given.model, items: [{ id, contentHash: 'x', embedding }] };
    t.match((await as('integration', 'PUT', 'documents/embeddings', handed)).body, { items: [{ status: 'missing' }] });
    t.match((await as('integration', 'GET', `documents?ids=${id}`)).body, { items: [] });
    t.match((await search('integration', {})).body, { items: [] });
    t.same((await as('integration', 'GET', 'collections')).body['items'], []);
    // An administrator knows of it, and says who sees it, but has to let itself in to read.
    t.match((await as('admin', 'GET', 'collections')).body, { items: [{ name: 'plans' }] });
    t.equal((await search('admin')).status, 404);
    t.equal((await as('admin', 'PUT', `collections/plans/grants/users/${users.admin.id}`)).status, 200);
    t.equal((await search('admin')).status, 200);
  });

  await t.test('a grant opens it at once, its end closes it at once', async (t) => {
    const grant = (method: 'PUT' | 'DELETE', path: string) => as('manager', method, `collections/plans/grants/${path}`);
    const first = await grant('PUT', 'roles/analyst');
    t.match(first, {
      status: 200,
      body: { grants: [{}, { kind: 'roles', grantee: 'analyst', grantedBy: users.manager.id }] },
    });
    t.equal(
      (await grant('PUT', 'roles/analyst')).body['accessEpoch'],
      first.body['accessEpoch'],
      'again changes nothing',
    );
    t.match([(await search('analyst')).body, (await search('analyst')).body], [{ items: [{}] }, { cache: 'hit' }]);
    t.match(await as('analyst', 'GET', 'collections/plans'), { status: 200, body: { grants: null } });
    t.equal((await as('analyst', 'PUT', 'collections/plans', {})).status, 403, 'its role');
    const closed = await grant('DELETE', 'roles/analyst');
    t.ok(Number(closed.body['accessEpoch']) > Number(first.body['accessEpoch']));
    t.equal((await search('analyst')).status, 404);

    t.equal((await grant('PUT', `users/${users.integration.id}`)).status, 200);
    t.equal((await search('integration')).status, 200);
    t.equal((await as('integration', 'DELETE', 'collections/plans')).status, 403, 'seen, but not its own');
    t.match(await grant('PUT', 'roles/nobody'), { status: 400, body: { errors: [{ field: 'params.grantee' }] } });
    t.equal((await grant('PUT', 'users/00000000-0000-7000-8000-000000000000')).status, 404);
  });

  await t.test('settings', async (t) => {
    const put = (body: object) => as('manager', 'PUT', 'collections/plans', body);
    t.match(await put({ cacheTtlSeconds: 60 }), { status: 200, body: { cacheTtlSeconds: 60, visibility: 'private' } });
    t.match(await put({ cacheTtlSeconds: 0 }), { status: 400, body: { errors: [{ field: 'cacheTtlSeconds' }] } });
    t.match(await put({ visibility: 'secret' }), { status: 400, body: { errors: [{ field: 'visibility' }] } });
    const nobody = { ownerId: '00000000-0000-7000-8000-000000000000' };
    t.match(await put(nobody), { status: 400, body: { errors: [{ field: 'ownerId', message: 'is no user' }] } });
    await as('manager', 'POST', 'documents', { externalId: 'o', collection: 'orphan', text: 'x', ...given });
    t.match((await as('admin', 'PUT', 'collections/orphan', { visibility: 'private' })).body, {
      errors: [{ field: 'ownerId' }],
    });
    t.match(await put({ ownerId: users.integration.id }), { status: 200, body: { ownerId: users.integration.id } });
    t.equal((await search('manager')).status, 404, 'given away');
    t.equal((await as('admin', 'PUT', 'collections/plans', { ownerId: users.manager.id })).status, 200);
    t.match(await as('manager', 'GET', 'collections?limit=1'), {
      body: { items: [{ name: 'orphan' }], nextCursor: /^\d+$/ },
    });
    t.equal((await as('manager', 'GET', 'collections?cursor=x')).status, 400);
  });

  await t.test("a run may use its owner's, but not open them to others", async (t) => {
    const worker = await addWorker(sql);
    const runId = await addRun(sql, { principalId: users.manager.id, role: 'manager', owner: worker });
    const body = { runId, incarnation: worker };
    const run = await gateway.call('POST', '/api/internal/run-tokens', { token: secrets.WORKER_API_KEY, body });
    const token = run.body['token'] as string;
    const question = { query: 'refunds', threshold: -1, collection: 'plans' };
    t.match(await gateway.call('POST', '/api/search/semantic', { token, body: question }), { body: { items: [{}] } });
    for (const [method, path, json] of [
      ['PUT', 'plans', { visibility: 'shared' }],
      ['PUT', 'plans/grants/roles/agent', undefined],
      ['DELETE', 'plans', undefined],
      ['POST', 'plans/reindex', { model: 'x' }],
    ] as const) {
      const answer = await gateway.call(method, `/api/collections/${path}`, { token, ...(json && { body: json }) });
      t.ok([400, 403].includes(answer.status), path);
    }
    t.match((await as('manager', 'GET', 'collections/plans')).body, { visibility: 'private', grants: [{}, {}] });
  });

  await t.test('reindexing is started by who may, for a model that is known', async (t) => {
    const start = (who: Who, model: string, name = 'plans') =>
      as(who, 'POST', `collections/${name}/reindex`, { model });
    t.match(await start('manager', 'unknown'), {
      status: 400,
      body: { errors: [{ field: 'model', message: /MiniLM/ }] },
    });
    t.match(await start('manager', given.model), {
      status: 400,
      body: { errors: [{ field: 'model', message: /has/ }] },
    });
    t.equal((await start('integration', given.model)).status, 403);
    t.equal((await as('manager', 'DELETE', 'collections/plans/reindex')).status, 404);
    const description = { version: '1', description: '', queue: 'documents', input: {}, output: {} } as const;
    await publishWorkflow(sql, { name: 'collection-reindex', ...description });
    await sql`UPDATE collections SET model = 'older' WHERE model = ${given.model}`;

    await sql`INSERT INTO collections (name, model, dimensions) VALUES ('misnamed', ${given.model}, 2)`;
    const conflict = (where: string) => ({
      status: 409,
      body: { detail: `All by ${given.model} have 2 dimensions in ${where}, the new embeddings 384` },
    });
    t.match(await start('manager', given.model), conflict('collection misnamed'));
    await sql`
      UPDATE collections SET visibility = 'private', owner_id = ${users.integration.id} WHERE name = 'misnamed'`;
    t.match(await start('manager', given.model), conflict('a collection that you do not see'));
    t.same(await sql`SELECT FROM collection_reindexes`, [], 'nothing has begun');
    await sql`UPDATE collections SET model = 'away' WHERE name = 'misnamed'`;
    t.equal((await start('manager', 'away')).status, 202, 'what its endpoint does not tell, the run finds out');
    t.equal((await as('manager', 'DELETE', 'collections/plans/reindex')).status, 204);
    await sql`DELETE FROM collections WHERE name = 'misnamed'`;
    const started = await start('manager', given.model);
    t.equal(started.status, 202);
    const { id } = started.body['run'] as { id: string };
    t.match(await readRun(sql, id), { state: 'queued', input: { collection: 'plans', model: given.model } });
    t.equal((await start('manager', given.model)).status, 409);
    const pending = `collections/plans/reindex/documents?model=${given.model}`;
    t.match((await as('manager', 'GET', pending)).body, { documents: 1, items: [{ externalId: 'p' }] });
    t.equal((await as('analyst', 'GET', pending)).status, 403);
    t.match((await as('manager', 'POST', 'collections/plans/reindex/switch', { model: given.model })).body, {
      switched: false,
    });
    t.equal((await as('manager', 'DELETE', 'collections/plans/reindex')).status, 204);
    t.match(await readRun(sql, id), { state: 'cancelled' });
    await sql`UPDATE collections SET model = ${given.model} WHERE model = 'older'`;
  });

  await t.test('deleted and made again it is another one, whose answers were never given', async (t) => {
    const before = (await as('manager', 'GET', 'collections/plans')).body;
    t.match(await as('manager', 'DELETE', 'collections/plans'), { status: 200, body: { deleted: 1 } });
    t.equal((await search('manager')).status, 404);
    const made = await as('integration', 'PUT', 'collections/plans', {});
    t.match(made, { status: 201, body: { ownerId: users.integration.id, grants: [], visibility: 'shared' } });
    t.ok(Number(made.body['version']) > Number(before['version']));
    t.ok(Number(made.body['accessEpoch']) > Number(before['accessEpoch']));
  });

  const audit = await as('admin', 'GET', 'admin/audit?limit=200');
  const done = (audit.body['items'] as Items).filter(({ outcome }) => outcome === 'success');
  const told = new Set(done.map(({ action }) => action));
  for (const action of ['created', 'changed', 'granted', 'revoked', 'deleted', 'reindex', 'reindex_abandoned']) {
    t.ok(told.has(`collection.${action}`), action);
  }
});
