import { readFile } from 'node:fs/promises';
import { createCheck, FlowstateError, type EmbeddingsBody } from '@flowstate/contracts';
import { createEmbedder, type Embedder } from '@flowstate/models';
import {
  findCollections,
  findDocuments,
  handBackRun,
  insertUser,
  matchDocuments,
  readEvents,
  readRun,
  readSteps,
  retryRuns,
  startPartsBackfill,
  storeEmbeddings,
  upsertDocuments,
  wakeDueRuns,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import type { Backend, BackendRequest, Workflow } from '@flowstate/workflow';
import t from 'tap';
import type { TSchema } from 'typebox';
import { createDocumentIngest } from '../src/workflows/document-ingest.ts';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);
const offline = createEmbedder({ kind: 'offline' });
t.teardown(() => offline.close());

/** The two routes the workflow calls, without the HTTP between: the same statements on the same database. */
const gateway = async ({ operation, query, body, response }: BackendRequest<TSchema>): Promise<unknown> => {
  const answer =
    operation === 'documents.list'
      ? { items: await findDocuments(sql, String(query?.['ids']).split(',')), nextCursor: null }
      : await storeEmbeddings(sql, body as EmbeddingsBody);
  return createCheck(response)(JSON.parse(JSON.stringify(answer)));
};

const accept = (workflow: Workflow, documentIds: string[]) => acceptRun(sql, workflow, { documentIds });

async function begin(workflow: Workflow, id: string, backend: typeof gateway = gateway, now = Date.now) {
  const progress: unknown[] = [];
  const { me, ...execution } = await beginRun(sql, workflow, id, {
    backend: backend as Backend,
    now,
    publish: (news) => progress.push(...[news].flat().filter((item) => item.type === 'progress')),
  });
  return { me, execution, progress };
}

const ingest = (embedder: Embedder = offline) =>
  createDocumentIngest({ first: embedder, others: [] }) as unknown as Workflow;

t.test('documents get their embeddings, each counted for what became of it', async (t) => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ externalId: `a${i}`, text: `Note ${i} about refunds` }));
  const ids = (await upsertDocuments(sql, rows)).map((row) => row.id);
  const missing = '00000000-0000-7000-8000-000000000000';
  const id = await accept(ingest(), [...ids, missing]);
  const { execution, progress } = await begin(ingest(), id);
  t.same(await execution.done, {
    state: 'completed',
    output: { embedded: 40, unchanged: 0, superseded: 0, missing: 1 },
  });
  t.same(
    (await readSteps(sql, id)).map((step) => [step.name, step.effect]),
    [
      ['embed#1', 'keyed'],
      ['embed#2', 'keyed'],
    ],
  );
  t.match(progress, [{ data: { documents: 32, of: 41 } }, { data: { documents: 41, of: 41 } }]);
  t.match(await findCollections(sql, ['knowledge']), [{ model: 'all-MiniLM-L6-v2', dimensions: 384 }]);
  const [embedding = []] = await offline.embed(['Note 7 about refunds']);
  const match = { embedding, threshold: 0, limit: 1, filter: {}, collections: ['knowledge'] };
  const [hit] = await matchDocuments(sql, match);
  t.equal(hit?.externalId, 'a7');
  t.ok((hit?.similarity ?? 0) > 0.9999, 'the same text, the same vector');

  const again = await begin(ingest(), await accept(ingest(), ids));
  t.match(await again.execution.done, { output: { embedded: 0, unchanged: 40 } });
});

t.test('a worker lost in the middle costs one batch; a text changed meanwhile is left to its own run', async (t) => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ externalId: `b${i}`, text: `Report ${i}` }));
  const ids = (await upsertDocuments(sql, rows)).map((row) => row.id);
  const texts: string[] = [];
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const counting: Embedder = {
    ...offline,
    async embed(batch, signal) {
      texts.push(...batch);
      if (batch.length < 32) {
        reached.resolve();
        await gate.promise;
      }
      return offline.embed(batch, signal);
    },
  };
  const id = await accept(ingest(), ids);
  const first = await begin(ingest(counting), id);
  await reached.promise;
  first.execution.lose();
  t.same(await first.execution.done, { state: 'lost' });
  await handBackRun(sql, first.me, id);
  gate.resolve();

  const changing: typeof gateway = async (request) => {
    const answer = await gateway(request);
    if (request.operation === 'documents.list') await upsertDocuments(sql, [{ externalId: 'b39', text: 'rewritten' }]);
    return answer;
  };
  const second = await begin(ingest(counting), id, changing);
  t.same(await second.execution.done, {
    state: 'completed',
    output: { embedded: 39, unchanged: 0, superseded: 1, missing: 0 },
  });
  t.equal(texts.length, 48, '32 once, 8 twice');
});

t.test('a long text is found by what stands at its end, and not embedded again while it stays', async (t) => {
  const filler = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} describes the office furniture of room ${i}.`);
  const text = `${filler.join(' ')} Lost passports are replaced by the embassy within three days.`;
  const row = { externalId: 'long', collection: 'long', title: 'Handbook', text };
  const ids = (await upsertDocuments(sql, [row])).map(({ id }) => id);
  const { execution } = await begin(ingest(), await accept(ingest(), ids));
  t.match(await execution.done, { state: 'completed', output: { embedded: 1, superseded: 0 } });
  const [embedding = []] = await offline.embed(['Where do I get a new passport?']);
  const hits = await matchDocuments(sql, { embedding, threshold: -1, limit: 5, filter: {}, collections: ['long'] });
  t.equal(hits.length, 1, 'one document, however many parts');
  t.match(hits[0]?.text, /Lost passports are replaced/);
  t.ok((hits[0]?.text.length ?? 0) < text.length / 2, 'the part, not the whole');

  t.match(await upsertDocuments(sql, [row]), [{ status: 'unchanged', embedded: true }]);
  const again = await begin(ingest(), await accept(ingest(), ids));
  t.match(await again.execution.done, { output: { embedded: 0, unchanged: 1 } });
});

t.test('a long text embedded as a whole, as it once was, is embedded in parts in the background', async (t) => {
  const filler = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} describes the plants in the hall of floor ${i}.`);
  const text = `${filler.join(' ')} A broken lift is repaired by the caretaker within one day.`;
  const rows = [
    { externalId: 'old', collection: 'old', text },
    { externalId: 'old-too', collection: 'old', text: `Short of parts. ${'Nothing more. '.repeat(20)}` },
    { externalId: 'new', collection: 'old', text: `${text} And that is new.` },
  ];
  const stored = await upsertDocuments(sql, rows);
  const [whole = []] = await offline.embed([text]);
  const hashes = new Map(
    (
      await findDocuments(
        sql,
        stored.map(({ id }) => id),
      )
    ).map((each) => [each.id, each.contentHash]),
  );
  const items = stored.map(({ id }) => ({ id, contentHash: hashes.get(id) ?? '', embedding: whole }));
  await storeEmbeddings(sql, { model: offline.model, items });
  await sql`UPDATE documents SET updated_at = '2000-01-01' WHERE external_id IN ('old', 'old-too')`;
  await sql`DROP TABLE documents_without_parts`;
  const migration = new URL('../../../packages/store/migrations/0022_document_parts_backfill.sql', import.meta.url);
  await sql.unsafe(await readFile(migration, 'utf8'));
  const find = async () => {
    const [embedding = []] = await offline.embed(['Who mends the elevator?']);
    const match = { embedding, threshold: -1, limit: 1, filter: {}, collections: ['old'] };
    return (await matchDocuments(sql, match))[0];
  };

  t.equal(await startPartsBackfill(sql, 10), null, 'nobody is there for whom it could be done');
  await insertUser(sql, { email: 'admin@example.org', name: 'Admin', role: 'admin', passwordHash: null });
  await insertUser(sql, { email: 'feeder@example.org', name: 'Feeder', role: 'integration', passwordHash: null });
  const started = await startPartsBackfill(sql, 1);
  t.match(started, { collection: 'old', documents: 1 });
  const [run] = await sql`SELECT role, tags FROM runs WHERE id = ${started?.runId ?? ''}`;
  t.match(run, { role: 'integration', tags: ['backfill'] });
  t.equal(await startPartsBackfill(sql, 1), null, 'one after the other');
  t.match(await find(), { text: rows[0]?.text }, 'found as a whole meanwhile');

  const first = await begin(ingest(), started?.runId ?? '');
  t.match(await first.execution.done, { output: { embedded: 1 } });
  t.match(await find(), { externalId: 'old', text: /^(?!Paragraph 0).*A broken lift/ }, 'by its last part');
  const second = await begin(ingest(), (await startPartsBackfill(sql, 10))?.runId ?? '');
  t.match(await second.execution.done, { output: { embedded: 1 } }, 'of one part, as it turns out');
  t.equal(await startPartsBackfill(sql, 10), null, 'all is done');
  t.same(await sql`SELECT * FROM documents_without_parts`, []);
});

t.test('a collection of another model ends the run with the reason', async (t) => {
  const [document] = await upsertDocuments(sql, [{ text: 'x' }]);
  const other: Embedder = { ...offline, model: 'another' };
  const { execution } = await begin(ingest(other), await accept(ingest(), [document?.id ?? '']));
  t.match(await execution.done, {
    state: 'failed',
    error: { code: 'conflict', step: 'embed#1', message: /all-MiniLM-L6-v2/ },
  });
});

t.test('an endpoint that is away for an hour is waited for, without a worker', async (t) => {
  const [document] = await upsertDocuments(sql, [{ collection: 'patient', text: 'Refunds' }]);
  const begun = Date.now();
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const away: Embedder = {
    ...offline,
    async embed(texts, signal) {
      if (now() > begun + 3_600_000) return offline.embed(texts, signal);
      throw new FlowstateError('unavailable', 'The endpoint is left alone', { retryAfter: 10 });
    },
  };
  const id = await accept(ingest(), [document?.id ?? '']);
  const run = async () => (await begin(ingest(away), id, gateway, now)).execution.done;
  for (let outcome = await run(); ; outcome = await run()) {
    if (outcome.state !== 'waiting') {
      t.match(outcome, { state: 'completed', output: { embedded: 1 } });
      break;
    }
    t.match(await readRun(sql, id), { state: 'waiting' });
    const waiting = (await readEvents(sql, id)).findLast(({ type }) => type === 'run.waiting');
    // From when it was put to sleep, by the clock that is ahead.
    const wait = Date.parse(waiting?.data['until'] as string) - (Date.parse(waiting?.at ?? '') + ahead);
    t.ok(wait > 9_000 && wait <= 300_000, 'as long as is asked for, or five minutes');
    ahead += wait + 1;
    await sql`UPDATE run_live SET wake_at = now() WHERE id = ${id}`;
    await wakeDueRuns(sql, 10);
  }
  const [step] = await readSteps(sql, id);
  t.match(step, { name: 'embed#1', state: 'completed' });
  t.ok((step?.attempt ?? 0) > 5);
});

t.test('a text that the endpoint refuses keeps no other from being found, and its document is named', async (t) => {
  const long = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} describes the furniture of room ${i}.`).join(' ');
  const rows = Array.from({ length: 70 }, (_, i) => ({
    collection: 'picky',
    externalId: `c${i}`,
    text: i === 40 ? `${long} Memo 40` : `Memo ${i}`,
  }));
  const ids = (await upsertDocuments(sql, rows)).map((row) => row.id);
  let calls = 0;
  const refusing = (texts: RegExp): Embedder => ({
    ...offline,
    async embed(batch, signal) {
      calls += 1;
      if (!batch.some((text) => texts.test(text))) return offline.embed(batch, signal);
      throw new FlowstateError('upstream_failed', 'The endpoint refused the request (400)');
    },
  });
  const lacking = async () => {
    const found = await findDocuments(sql, ids);
    return found.filter((document) => !document.embedded).map((document) => document.externalId);
  };

  const everything = refusing(/./);
  const { execution: none } = await begin(ingest(everything), await accept(ingest(everything), ids));
  t.match(await none.done, { state: 'failed', error: { code: 'upstream_failed', step: 'embed#1' } });
  t.equal((await lacking()).length, 70);
  t.ok(calls < 9, 'a key that is refused is not shown for each text');

  const picky = refusing(/Memo (4|6|40)$/);
  const id = await accept(ingest(picky), ids);
  const { execution } = await begin(ingest(picky), id);
  const message = new RegExp(`refused the request \\(400\\), asked for documents ${ids[4]}, ${ids[6]}, ${ids[40]}$`);
  t.match(await execution.done, {
    state: 'failed',
    error: { code: 'upstream_failed', step: 'embed-refused', message },
  });
  t.same(new Set(await lacking()), new Set(['c4', 'c6', 'c40']));

  // One is deleted, one changed; of the third the endpoint thinks better.
  await sql`DELETE FROM documents WHERE id = ${ids[4] ?? null}`;
  await upsertDocuments(sql, [{ collection: 'picky', externalId: 'c6', text: 'Another memo' }]);
  await sql.begin((tx) => retryRuns(tx, [id], 'somebody'));
  calls = 0;
  const { execution: again } = await begin(ingest(), id);
  t.match(await again.done, { state: 'completed', output: { embedded: 69, missing: 1, unchanged: 0, superseded: 0 } });
  t.same(await lacking(), []);
});
