import { startPlatform } from '@flowstate/test';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';

const platform = await startPlatform(t);
const { sql } = platform.database;
const feeder = await platform.as('integration');
const analyst = await platform.as('analyst');

type Stored = { run: { id: string } | null; documents: { id: string; status: string }[] };
type Found = { cache: string; items: { id: string; externalId: string; text: string; similarity: number }[] };

const search = (query: string, more: object = {}) =>
  analyst.post<Found>('/api/search/semantic', { query, collection: 'manual', ...more });

/** Stores documents and waits until their run has embedded them. */
async function ingest(documents: object[]): Promise<{ output: unknown; ids: string[] }> {
  const { status, body } = await feeder.post<Stored>('/api/documents', { documents });
  t.equal(status, 202, JSON.stringify(body));
  const events = await Array.fromAsync(feeder.events(body.run?.id ?? ''));
  t.match(events.at(-1), { event: 'run.completed' });
  const run = await feeder.get<{ output: unknown }>(`/api/runs/${body.run?.id}`);
  return { output: run.body.output, ids: body.documents.map((document) => document.id) };
}

const pages = [
  { externalId: 'password', text: 'To reset a forgotten password, choose "Forgot password" on the sign-in page.' },
  { externalId: 'refund', text: 'Refunds are paid to the original card within five working days.' },
  { externalId: 'webhook', text: 'Failed webhook deliveries are attempted again with exponential backoff.' },
].map((page) => ({ ...page, collection: 'manual', title: page.externalId, metadata: { kind: 'page' } }));

t.test('documents posted are embedded by a worker and found by meaning', async (t) => {
  t.equal((await search('anything')).status, 404, 'the collection is not there yet');
  const { output } = await ingest(pages);
  t.same(output, { embedded: 3, unchanged: 0, superseded: 0, missing: 0 });
  const found = await search('How do I get my money back?');
  t.match(found, { status: 200, body: { cache: 'miss', items: [{ externalId: 'refund' }] } });
  t.match((await search('How do I get my money back?')).body, { cache: 'hit', items: found.body.items });
});

t.test('a changed or deleted document is never answered from the cache', async (t) => {
  const question = 'I cannot remember my login secret';
  t.match((await search(question)).body.items, [{ externalId: 'password' }]);
  await ingest([{ ...pages[0], text: 'The cafeteria opens at noon and serves soup.' }]);
  const after = await search(question);
  t.equal(after.body.cache, 'miss');
  t.ok(!after.body.items.some((hit) => hit.externalId === 'password'));
  t.equal((await feeder.call('DELETE', '/api/documents/webhook?collection=manual')).status, 204);
  t.notMatch((await search('webhook deliveries', { threshold: -1 })).body.items, [{ externalId: 'webhook' }]);
});

t.test('a text of 40,000 characters is found by its middle, though its worker was killed over it', async (t) => {
  // A report in wide columns: many characters, few words, so that a slow machine embeds them in seconds.
  const lines = Array.from({ length: 400 }, (_, i) => `${`Row ${i}.`.padEnd(99)}\n`);
  lines[200] = `${'Spare keys of the archive are kept by the night porter.'.padEnd(99)}\n`;
  const text = lines.join('');
  t.equal(text.length, 40_000);
  const parts = async () => {
    const [row] = await sql<{ n: number }[]>`
      SELECT count(*)::int AS n FROM document_chunks c JOIN documents d ON d.id = c.document_id WHERE d.external_id = 'report'`;
    return row?.n ?? 0;
  };
  // The last parts to come wait, and are lost with their worker.
  await sql`
    CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$`;
  await sql`
    CREATE TRIGGER wait_for_the_test BEFORE INSERT ON document_chunks
    FOR EACH ROW WHEN (NEW.index < 16) EXECUTE FUNCTION wait_for_the_test()`;
  const { body, before } = await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(1)`;
    const report = { externalId: 'report', collection: 'reports', text };
    const stored = await feeder.post<Stored>('/api/documents', report);
    const waiting = () => sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`;
    while ((await waiting()).length === 0) await wait(10);
    await platform.worker.kill('SIGKILL');
    for (const { pid } of await waiting()) await sql`SELECT pg_terminate_backend(${pid})`;
    return { body: stored.body, before: await parts() };
  });
  const [document] = body.documents;
  t.match((await feeder.get(`/api/documents/${document?.id}`)).body, { embedded: false });
  const awaiting = async () => (await analyst.get('/api/collections/reports')).body['awaitingEmbedding'];
  t.equal(await awaiting(), 1);
  await platform.worker.restart();
  t.match((await Array.fromAsync(feeder.events(body.run?.id ?? ''))).at(-1), { event: 'run.completed' });
  t.match((await feeder.get(`/api/runs/${body.run?.id}`)).body, { output: { embedded: 1 } });
  t.equal(await awaiting(), 0);
  const all = await parts();
  t.ok(all > before && all > 60, `${before} of ${all} parts were there when it was killed`);
  const question = { query: 'Who has the second key to the archive?', collection: 'reports', threshold: -1 };
  const found = await analyst.post<Found>('/api/search/semantic', question);
  t.match(found.body.items, [{ externalId: 'report', text: /night porter/ }]);
  t.equal(found.body.items.length, 1, 'one document, however many parts');
  t.ok((found.body.items[0]?.text.length ?? 0) < 1_000, 'the part, not the whole');
});

t.test('a worker killed while embedding costs nothing but time', async (t) => {
  const many = Array.from({ length: 100 }, (_, i) => ({
    externalId: `note-${i}`,
    collection: 'notes',
    text: `Note ${i}: region ${i % 7} asked about topic ${i % 13}.`,
  }));
  const { body } = await feeder.post<Stored>('/api/documents', many);
  const id = body.run?.id ?? '';
  for await (const { event, data } of feeder.events(id)) {
    if (event !== 'step.completed') continue;
    t.match(data, { data: { name: 'embed#1' } });
    break;
  }
  await platform.worker.kill('SIGKILL');
  await platform.worker.restart();
  const events = await Array.fromAsync(feeder.events(id));
  t.match(events.at(-1), { event: 'run.completed' });
  const run = await feeder.get<{ output: Record<string, number> }>(`/api/runs/${id}`);
  const { embedded = 0, unchanged = 0 } = run.body.output;
  t.equal(embedded + unchanged, 100, `${embedded} embedded, ${unchanged} already were`);
  const found = await analyst.post<Found>('/api/search/semantic', { query: many[77]?.text, limit: 1 });
  t.match(found.body.items, [{ externalId: 'note-77' }]);
  const near = { query: 'the customer asked about a topic', collection: 'notes', threshold: -1, limit: 100 };
  const seen = (await analyst.post<Found>('/api/search/semantic', near)).body.items.map(({ id: hit }) => hit);
  t.equal(new Set(seen).size, 100, 'none is there twice');
});

t.test('a dimension that comes into use gets its indexes from the controller', async (t) => {
  const given = { externalId: 'own', collection: 'own', text: 'x', embedding: [1, 2, 3, 4, 5], model: 'five-numbers' };
  t.equal((await feeder.post('/api/documents', given)).status, 200);
  await platform.controller.logged((line) => line.msg === 'embeddings have an index now' && line['dimensions'] === 5);
  const indexes = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class WHERE relname ~ '_embedding_5$' AND relkind = 'i' ORDER BY 1`;
  t.same(
    indexes.map(({ name }) => name),
    ['document_chunks_embedding_5', 'documents_embedding_5'],
  );
});

t.test('a private collection of an earlier model is reindexed by workers, one of which dies', async (t) => {
  const model = 'earlier-model';
  t.equal((await feeder.call('PUT', '/api/collections/moved', { body: { visibility: 'private' } })).status, 201);
  const given = Array.from({ length: 60 }, (_, i) => ({
    externalId: `moved-${i}`,
    collection: 'moved',
    text: `Shelf ${i} holds parcels for district ${i % 9}.`,
    embedding: [i, 1, 0, 1],
    model,
  }));
  t.equal((await feeder.post('/api/documents', given)).status, 200);
  const wanted = { query: given[41]?.text, collection: 'moved', limit: 1 };
  t.equal((await feeder.post('/api/search/semantic', wanted)).status, 409, 'no query can be embedded by it');
  const path = '/api/collections/moved/reindex';
  const pending = async () =>
    (await feeder.get<{ items: unknown[] }>(`${path}/documents?model=all-MiniLM-L6-v2`)).body.items;
  const reindex = await sql.begin(async (tx) => {
    // The first 32 are handed in together, and the others when its worker is dead.
    await tx`SELECT FROM documents WHERE collection = 'moved' ORDER BY id DESC LIMIT 1 FOR UPDATE`;
    const { status, body } = await feeder.post<{ run: { id: string } }>(path, { model: 'all-MiniLM-L6-v2' });
    t.equal(status, 202);
    while ((await pending()).length === 32) await wait(20);
    await platform.worker.kill('SIGKILL');
    return body;
  });
  t.equal((await feeder.get<{ model: string }>('/api/collections/moved')).body.model, model, 'as before');
  await platform.worker.restart();
  t.match((await Array.fromAsync(feeder.events(reindex.run.id))).at(-1), { event: 'run.completed' });
  t.match((await feeder.post<Found>('/api/search/semantic', wanted)).body.items, [{ externalId: 'moved-41' }]);
  t.equal((await analyst.post('/api/search/semantic', wanted)).status, 404, 'whose it is not');
});

t.test('what search does is measured', async (t) => {
  const metrics = await analyst.get<string>('/api/metrics');
  for (const line of [
    /^vector_search_duration_seconds_count\{kind="semantic",cache="hit"\} [1-9]/m,
    /^vector_search_duration_seconds_count\{kind="semantic",cache="miss"\} [1-9]/m,
    /^vector_cache_requests_total\{result="hit"\} [1-9]/m,
    /^match_documents_duration_seconds_count [1-9]/m,
  ]) {
    t.match(metrics.body, line);
  }
});
