import { createCheck, FlowstateError, type EmbeddingsBody, type Viewer } from '@flowstate/contracts';
import { createEmbedder, type Embedder } from '@flowstate/models';
import {
  abandonReindex,
  findCollections,
  findDocuments,
  findPending,
  handBackRun,
  insertUser,
  matchDocuments,
  noteReindexRun,
  retryRuns,
  startReindex,
  storeEmbeddings,
  switchModel,
  upsertDocuments,
  writeCollection,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import type { Backend, BackendRequest, Workflow } from '@flowstate/workflow';
import t from 'tap';
import type { TSchema } from 'typebox';
import { createCollectionReindex } from '../src/workflows/collection-reindex.ts';
import { createDocumentIngest } from '../src/workflows/document-ingest.ts';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);
const offline = createEmbedder({ kind: 'offline' });
t.teardown(() => offline.close());
const made = await insertUser(sql, { email: 'a@example.org', name: 'A', role: 'admin', passwordHash: null });
const viewer: Viewer = { id: made?.id ?? '', role: 'admin' };
const [collection, model] = ['handbook', offline.model];
const filler = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} describes the office furniture of room ${i}.`).join(
  ' ',
);

/** The routes the workflows call, without the HTTP between: the same statements on the same database. */
const gateway = async (
  { operation, query, body, response }: BackendRequest<TSchema>,
  collection: string,
): Promise<unknown> => {
  const answers: Record<string, () => Promise<unknown>> = {
    'documents.list': async () => ({
      items: await findDocuments(sql, String(query?.['ids']).split(','), viewer),
      nextCursor: null,
    }),
    'documents.embeddings': async () => storeEmbeddings(sql, body as EmbeddingsBody, viewer),
    'reindex.documents': async () =>
      findPending(sql, { collection, model, after: query?.['after'] as string | undefined, limit: 8 }, viewer),
    'reindex.switch': async () => ({ switched: await switchModel(sql, { collection, model }, viewer) }),
  };
  return createCheck(response)(JSON.parse(JSON.stringify(await answers[operation]?.())));
};

const reindex = (embedder: Embedder) => createCollectionReindex({ first: embedder, others: [] }) as unknown as Workflow;

async function begin(workflow: Workflow, id: string, of = collection) {
  const progress: unknown[] = [];
  const run = await beginRun(sql, workflow, id, {
    backend: ((request: BackendRequest<TSchema>) => gateway(request, of)) as Backend,
    publish: (news) => progress.push(...[news].flat().filter((item) => item.type === 'progress')),
  });
  return { ...run, progress };
}

/** As an earlier model, with four dimensions, has embedded them. */
async function embedByOld(ids: string[]): Promise<void> {
  const documents = await findDocuments(sql, ids, viewer);
  const items = documents.map(({ id, contentHash, text }) => ({ id, contentHash, embedding: [text.length, 1, 0, 1] }));
  await storeEmbeddings(sql, { model: 'old-model', items }, viewer);
}

const byOld = async (limit: number) => {
  const wanted = { threshold: -1, limit, filter: {}, collections: [collection], viewer, model: 'old-model' };
  return await matchDocuments(sql, { ...wanted, embedding: [1, 0, 0, 0] });
};
const byNew = async (query: string, limit: number) => {
  const [embedding = []] = await offline.embed([query]);
  const wanted = { threshold: -1, limit, filter: {}, collections: [collection], viewer, model };
  return await matchDocuments(sql, { ...wanted, embedding });
};
const staged = async () => (await sql<{ count: number }[]>`SELECT count(*) FROM reindexed_parts`)[0]?.count;

t.test('a collection is embedded anew while the old embeddings answer, whatever happens in the middle', async (t) => {
  const rows = Array.from({ length: 20 }, (_, i) => ({ externalId: `d${i}`, collection, text: `Note ${i}` }));
  const long = {
    externalId: 'long',
    collection,
    text: `${filler} Lost passports are replaced by the embassy within three days.`,
  };
  const ids = (await upsertDocuments(sql, [...rows, long], viewer)).map((row) => row.id);
  await embedByOld(ids);
  const [before] = await findCollections(sql, [collection], viewer);

  await sql.begin((tx) => startReindex(tx, { collection, model }, viewer));
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let texts = 0;
  const slow: Embedder = {
    ...offline,
    async embed(batch, signal) {
      if (texts > 8) {
        reached.resolve();
        await gate.promise;
      }
      texts += batch.length;
      return offline.embed(batch, signal);
    },
  };
  const runId = await acceptRun(sql, reindex(slow), { collection, model });
  await noteReindexRun(sql, collection, runId);
  const first = await begin(reindex(slow), runId);
  await reached.promise;
  t.ok(((await staged()) ?? 0) >= 8, 'some new embeddings are there');
  t.equal((await byOld(50)).length, 21, 'the old ones answer');
  t.match(await findCollections(sql, [collection], viewer), [{ model: 'old-model', dimensions: 4 }]);
  await t.rejects(
    sql.begin((tx) => startReindex(tx, { collection, model: 'third' }, viewer)),
    { code: 'conflict', message: /by run/ },
    'one at a time',
  );
  t.equal(await switchModel(sql, { collection, model }, viewer), false, 'not before all are there');

  // The worker dies; and meanwhile one document is written anew, one changed, one deleted, all known by the old model.
  first.lose();
  t.same(await first.done, { state: 'lost' });
  await handBackRun(sql, first.me, runId);
  const changed = await upsertDocuments(
    sql,
    [
      { externalId: 'd0', collection, text: 'Umbrellas are lent at the reception' },
      { externalId: 'new', collection, text: 'Bicycles are kept in the cellar' },
    ],
    viewer,
  );
  await embedByOld(changed.map(({ id }) => id));
  await sql`DELETE FROM documents WHERE external_id = 'd1'`;
  gate.resolve();
  const second = await begin(reindex(slow), runId);
  t.match(await second.done, { state: 'completed' });
  t.ok(texts < 21 + 8 + 2 + 8, `what was stored was not embedded again: ${texts} texts`);
  t.match(second.progress.at(-1), { data: { of: 21 } });

  const [after] = await findCollections(sql, [collection], viewer);
  t.match(after, { model, dimensions: 384 });
  t.ok((after?.version ?? 0) > (before?.version ?? 0), 'cached answers of before are out of reach');
  t.equal(await staged(), 0);
  t.equal((await byNew('anything', 50)).length, 21, 'all are found, none twice');
  t.match(await byNew('Where are umbrellas?', 1), [{ externalId: 'd0' }]);
  t.match(await byNew('Where can I put my bike?', 1), [{ externalId: 'new' }]);
  t.match(await byNew('Where do I get a new passport?', 1), [
    { externalId: 'long', text: /^(?!.*Paragraph 0 ).*passports/s },
  ]);
  await t.rejects(byOld(1), { code: 'FS001' }, 'nobody asks by the old model any more');
  t.equal(await switchModel(sql, { collection, model }, viewer), true, 'again, should the answer be lost');
});

t.test(
  'a text that the endpoint refuses keeps the collection from being switched, and no other from being embedded',
  async (t) => {
    const rows = Array.from({ length: 90 }, (_, i) => ({
      externalId: `r${i}`,
      collection: 'picky',
      text: `Memo ${i}`,
    }));
    const ids = (await upsertDocuments(sql, rows, viewer)).map(({ id }) => id);
    await embedByOld(ids);
    const target = { collection: 'picky', model };
    await sql.begin((tx) => startReindex(tx, target, viewer));
    let texts = 0;
    const picky: Embedder = {
      ...offline,
      async embed(batch, signal) {
        if (batch.includes('Memo 5'))
          throw new FlowstateError('upstream_failed', 'The endpoint refused the request (400)');
        texts += batch.length;
        return offline.embed(batch, signal);
      },
    };
    const id = await acceptRun(sql, reindex(picky), target);
    const { done } = await begin(reindex(picky), id, 'picky');
    const message = new RegExp(`refused the request \\(400\\), asked for document ${ids[5]}$`);
    t.match(await done, { state: 'failed', error: { code: 'upstream_failed', step: /^embed-refused#/, message } });
    t.equal(texts, 89, 'each once');
    t.match(await findCollections(sql, ['picky'], viewer), [{ model: 'old-model' }]);

    await sql`DELETE FROM documents WHERE id = ${ids[5] ?? null}`;
    await sql.begin((tx) => retryRuns(tx, [id], 'somebody'));
    t.match(await (await begin(reindex(picky), id, 'picky')).done, { state: 'completed', output: { embedded: 89 } });
    t.equal(texts, 89, 'nothing was embedded again');
    t.match(await findCollections(sql, ['picky'], viewer), [{ model }]);
  },
);

t.test('what ended in the middle is gone on with or dropped, and the index of before stays', async (t) => {
  const target = { collection, model: 'another' };
  await sql.begin((tx) => startReindex(tx, target, viewer));
  const stage = async (limit: number, embedding: number[]) => {
    const { items } = await findPending(sql, { ...target, limit }, viewer);
    const body = { model: 'another', items: items.map(({ id, contentHash }) => ({ id, contentHash, embedding })) };
    return await storeEmbeddings(sql, body, viewer);
  };
  t.match((await stage(3, [1, 2])).items, [{ status: 'stored' }, { status: 'stored' }, { status: 'stored' }]);
  await t.rejects(stage(1, [1, 2, 3]), { errors: [{ field: 'items.0.embedding', message: /2 dimensions, not 3/ }] });
  await sql.begin((tx) => startReindex(tx, target, viewer));
  t.equal(await staged(), 3, 'gone on with');
  await sql.begin((tx) => startReindex(tx, { collection, model: 'yet-another' }, viewer));
  t.equal(await staged(), 0, 'of no use for another model');
  await t.rejects(stage(1, [1, 2]), { code: 'conflict' });
  t.same(await sql.begin((tx) => abandonReindex(tx, collection, viewer)), { runId: null });
  t.equal(await sql.begin((tx) => abandonReindex(tx, collection, viewer)), undefined);
  t.equal((await byNew('anything', 50)).length, 21);
  const wrong = (changes: object) => sql.begin((tx) => startReindex(tx, { collection, model, ...changes }, viewer));
  await t.rejects(wrong({}), { errors: [{ field: 'model' }] }, 'the one it has');
  await t.rejects(wrong({ collection: 'nowhere' }), { code: 'not_found' });
});

t.test(
  'a model with another dimension elsewhere is refused at the start if that is known, else at the switch',
  async (t) => {
    const target = { collection: 'rules', model: 'disputed' };
    const stored = await upsertDocuments(sql, [{ externalId: 'r', collection: 'rules', text: 'No smoking' }], viewer);
    await embedByOld(stored.map(({ id }) => id));
    const start = (dimensions: number | null = null) =>
      sql.begin((tx) => startReindex(tx, { ...target, dimensions }, viewer));
    await start(3);
    const { items } = await findPending(sql, { ...target, limit: 8 }, viewer);
    const embedded = items.map(({ id, contentHash }) => ({ id, contentHash, embedding: [1, 2, 3] }));
    await storeEmbeddings(sql, { model: 'disputed', items: embedded }, viewer);

    // Meanwhile somebody's own embeddings say otherwise.
    const own = await upsertDocuments(sql, [{ externalId: 'o', collection: 'theirs', text: 'Mine' }], viewer);
    const given = (await findDocuments(sql, [own[0]?.id ?? ''], viewer)).map(({ id, contentHash }) => ({
      id,
      contentHash,
      embedding: [1, 2],
    }));
    await storeEmbeddings(sql, { model: 'disputed', items: given }, viewer);
    const seen = {
      code: 'conflict',
      message: 'All by disputed have 2 dimensions in collection theirs, the new embeddings 3',
    };
    await t.rejects(switchModel(sql, target, viewer), seen, 'before the old ones are gone');
    t.match(await findCollections(sql, ['rules'], viewer), [{ model: 'old-model', dimensions: 4 }]);
    t.equal(await staged(), 1);
    await t.rejects(start(), seen, 'what is embedded already tells');
    await sql.begin((tx) => abandonReindex(tx, 'rules', viewer));
    await t.rejects(start(3), seen);
    t.equal(await sql.begin((tx) => abandonReindex(tx, 'rules', viewer)), undefined, 'nothing has begun');
    await start();
    await start(2);

    const owner = await insertUser(sql, { email: 'b@example.org', name: 'B', role: 'manager', passwordHash: null });
    const hidden = { visibility: 'private', ownerId: owner?.id ?? '' } as const;
    await writeCollection(sql, 'theirs', hidden, { id: owner?.id ?? '', role: 'admin' });
    await t.rejects(start(3), { code: 'conflict', message: /2 dimensions in a collection that you do not see/ });
  },
);

t.test('new documents are embedded by the model of their collection', async (t) => {
  const other: Embedder = { ...offline, model: 'first-model' };
  const ingest = createDocumentIngest({ first: other, others: [offline] }) as unknown as Workflow;
  const stored = await upsertDocuments(
    sql,
    [
      { externalId: 'late', collection, text: 'Parcels arrive at noon' },
      { externalId: 'fresh', collection: 'fresh', text: 'Parcels arrive at noon' },
    ],
    viewer,
  );
  const run = await begin(ingest, await acceptRun(sql, ingest, { documentIds: stored.map(({ id }) => id) }));
  t.match(await run.done, { state: 'completed', output: { embedded: 2 } });
  t.match(await findCollections(sql, ['fresh', collection], viewer), [{ model: 'first-model' }, { model }]);
});

t.test('while a collection changes as a whole its writers are asked to come again', async (t) => {
  await sql.begin(async (tx) => {
    await tx`SELECT FROM collections WHERE name = ${collection} FOR UPDATE`;
    const write = upsertDocuments(sql, [{ externalId: 'w', collection, text: 'Waits' }], viewer);
    await t.rejects(write, { code: 'unavailable', retryAfter: 5 });
    t.equal((await byNew('anything', 50)).length, 22, 'searches go on');
  });
  t.match(await upsertDocuments(sql, [{ externalId: 'w', collection, text: 'Waits' }], viewer), [
    { status: 'inserted' },
  ]);
});
