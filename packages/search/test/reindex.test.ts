import { createEmbedder } from '@flowstate/models';
import { findPending, insertUser, startReindex, storeEmbeddings, switchModel, upsertDocuments } from '@flowstate/store';
import type { Viewer } from '@flowstate/contracts';
import t from 'tap';
import { createSearchFixture, ingest } from './fixtures/search-fixture.ts';
import { vectorOf } from './fixtures/embeddings-endpoint.ts';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

const documents = 40;

t.test('searches answer in full before, while and after the model is switched', async (t) => {
  const reply = async (request: IncomingMessage, response: ServerResponse) => {
    const { input } = (await json(request)) as { input: string[] };
    response.end(JSON.stringify({ data: input.map((text, index) => ({ index, embedding: vectorOf(text) })) }));
  };
  const server = createServer((request, response) => void reply(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => server.close());
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const next = createEmbedder({ kind: 'endpoint', baseUrl, model: 'next-model' });
  t.teardown(() => next.close());
  const { sql, embedder, search, seen } = await createSearchFixture(t, { otherEmbedders: [next] });
  const admin = await insertUser(sql, { email: 'a@example.org', name: 'A', role: 'admin', passwordHash: null });
  const viewer: Viewer = { id: admin?.id ?? '', role: 'admin' };
  const rows = Array.from({ length: documents }, (_, i) => ({ externalId: `d${i}`, text: `Note ${i}` }));
  await ingest(sql, embedder, rows);

  const target = { collection: 'knowledge', model: 'next-model' };
  await sql.begin((tx) => startReindex(tx, target, viewer));
  const wrong: string[] = [];
  const models: string[] = [];
  const count = { asked: 0 };
  /** Answers that each way has had. */
  const answered = Array.from({ length: 4 }, () => 0);
  const done = new AbortController();
  async function askOn(way: number): Promise<void> {
    while (!done.signal.aborted) {
      // Many questions, so that some are computed at any moment, and some twice, so that some come from the cache.
      const query = `${way} asks ${Math.floor((count.asked += 1) / 2) % 7}`;
      const answer = await search.semantic({ query, threshold: -1, limit: 100 }, viewer);
      if (answer.items.length !== documents) wrong.push(`${answer.items.length} by ${answer.model}`);
      if (models.at(-1) !== answer.model) models.push(answer.model);
      answered[way] = (answered[way] ?? 0) + 1;
    }
  }
  const asking = Promise.all(answered.map((_, way) => askOn(way)));
  while (models.length === 0) await new Promise((soon) => setImmediate(soon)); // one has its answer by the old model
  for (;;) {
    const { items } = await findPending(sql, { ...target, limit: 8 }, viewer);
    if (items.length === 0 && (await switchModel(sql, target, viewer))) break;
    const vectors = await next.embed(items.map(({ text }) => text));
    const embedded = items.map(({ id, contentHash }, i) => ({ id, contentHash, embedding: vectors[i] ?? [] }));
    // A writer that changes nothing of what is found, but much of what is locked.
    await Promise.all([
      storeEmbeddings(sql, { model: 'next-model', items: embedded }, viewer),
      upsertDocuments(
        sql,
        rows.slice(0, 3).map((row) => ({ ...row, metadata: { at: count.asked } })),
        viewer,
      ),
    ]);
  }
  // The first answer of each way from here on may be one that was under way.
  const enough = answered.map((answers) => answers + 5);
  while (answered.some((answers, way) => answers < (enough[way] ?? 0))) await new Promise((soon) => setImmediate(soon));
  done.abort();
  await asking;
  t.same(wrong, []);
  t.same(models.slice(0, 1), ['all-MiniLM-L6-v2']);
  t.same(models.slice(-1), ['next-model']);
  t.ok(seen.matched > 0 && seen.matched < count.asked, `${count.asked} answers, ${seen.matched} computed`);
});
