import { randomUUID } from 'node:crypto';
import { createEmbedder } from '@flowstate/models';
import { createRegistry } from '@flowstate/runtime';
import { createRecallSampler, createSearch } from '@flowstate/search';
import {
  createSql,
  findCollections,
  findDocuments,
  storeEmbeddings,
  upsertDocuments,
  type Sql,
} from '@flowstate/store';
import { createTestDatabase, createTestRedis, openRedis } from '@flowstate/test';
import t from 'tap';
import { recallObserver } from '../src/recall-metrics.ts';

const viewer = { id: randomUUID(), role: 'admin' } as const;
const build = { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' };

/** Documents whose embeddings lie anywhere, so that an index that looks at few of them misses most of the nearest. */
async function fill(sql: Sql, model: string): Promise<void> {
  for (let batch = 0; batch < 3; batch++) {
    const rows = await upsertDocuments(
      sql,
      Array.from({ length: 200 }, (_, i) => ({ text: `text ${batch} ${i}` })),
    );
    const documents = await findDocuments(
      sql,
      rows.map(({ id }) => id),
    );
    const items = documents.map(({ id, contentHash }) => ({
      id,
      contentHash,
      embedding: Array.from({ length: 384 }, () => Math.random() - 0.5),
    }));
    await storeEmbeddings(sql, { model, items });
  }
}

/** An index of hardly any links, of which hardly any are followed. */
async function degrade(sql: Sql): Promise<void> {
  const indexes = await sql<{ name: string; definition: string }[]>`
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes
    WHERE tablename = 'documents' AND indexdef LIKE '%USING hnsw%'`;
  for (const { name, definition } of indexes) {
    await sql`DROP INDEX ${sql(name)}`;
    await sql.unsafe(definition.replace(' WHERE ', ' WITH (m = 2, ef_construction = 4) WHERE '));
  }
  await sql`ALTER FUNCTION match_documents SET hnsw.ef_search = 1`;
}

await t.test('the gauge tells when the index finds less than an exact scan', async (t) => {
  const { sql: owner, url } = await createTestDatabase(t);
  const { cacheUrl } = await createTestRedis(t);
  const embedder = createEmbedder({ kind: 'offline' });
  const cache = openRedis(cacheUrl);
  await fill(owner, embedder.model);
  // So few documents would be read one by one: with this, the index is used as it is for many.
  const [{ name } = { name: '' }] = await owner<{ name: string }[]>`SELECT current_database() AS name`;
  await owner`ALTER DATABASE ${owner(name)} SET seq_page_cost = 100`;
  const sql = createSql(url, { name: 'flowstate-test', max: 2 });
  const recallSql = createSql(url, { name: 'flowstate-test-recall', max: 1 });
  t.teardown(async () => {
    cache.disconnect();
    await embedder.close();
    await Promise.all([sql, recallSql].map((pool) => pool.end({ timeout: 1 })));
  });

  const registry = createRegistry('gateway', build);
  const observe = recallObserver(registry);
  let busy = false;
  const recall = createRecallSampler({ sql: recallSql, fraction: 1, observe, busy: () => busy, effort: 1 });
  const search = createSearch({ sql, cache, embedder, recall });
  const value = async (series: string): Promise<number> => {
    const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.split(' ').at(-1));
  };
  const gauge = () => value('vector_search_recall{collection="knowledge",k="10"}');
  const results = (result: string) => value(`vector_search_recall_samples_total{result="${result}"}`);
  let asked = 0;
  const ask = async (threshold = -1) => {
    const answer = await search.semantic({ query: `question ${asked++}`, collection: 'knowledge', threshold }, viewer);
    await recall.settled();
    return answer;
  };
  const compare = async (times: number) => {
    const until = (await results('compared')) + times;
    while ((await results('compared')) < until) await ask();
  };

  await compare(5);
  const good = await gauge();
  t.ok(good > 0.95 && good <= 1, `recall of a good index: ${good}`);
  await degrade(owner);
  await compare(25);
  const bad = await gauge();
  t.comment(`${good} and ${bad}`);
  t.ok(bad < good - 0.3, `recall of an index that looks at too little: ${bad}`);
  t.match(await registry.metrics(), 'vector_search_recall_samples_total{result="failed"} 0\n');

  const [collection] = await findCollections(sql, ['knowledge']);
  if (collection === undefined) throw new Error('no collection');
  const compared = await results('compared');
  const match = { embedding: Array.from({ length: 384 }, () => 1), limit: 10, filter: {}, collections: ['knowledge'] };
  const offered = async (result: string, offer: () => void) => {
    const before = await results(result);
    while ((await results(result)) === before) {
      offer();
      await recall.settled();
    }
    t.pass(result);
  };
  const older = { ...collection, version: collection.version - 1 };
  await offered('changed', () => recall.offer({ ...match, threshold: -1 }, [older], []));
  await offered('empty', () => recall.offer({ ...match, threshold: 0.999 }, [collection], []));
  await offered('failed', () => recall.offer({ ...match, embedding: [Number.NaN], threshold: 0 }, [collection], []));
  busy = true;
  const skipped = await results('skipped');
  await ask();
  t.equal(await results('skipped'), skipped + 1);
  t.equal(await results('compared'), compared, 'none of these tells anything about recall');
});

await t.test('labels are bounded, and old samples are forgotten', async (t) => {
  let now = 0;
  const registry = createRegistry('gateway', build);
  const { measured } = recallObserver(registry, () => now);
  for (let i = 0; i < 60; i++) measured({ collection: `c${i}`, k: i + 1, recall: i % 2 });
  const lines = async () =>
    (await registry.metrics()).split('\n').filter((one) => one.startsWith('vector_search_recall{'));
  const first = await lines();
  t.equal(new Set(first.map((line) => /collection="([^"]*)"/.exec(line)?.[1])).size, 51);
  t.ok(first.includes('vector_search_recall{collection="other",k="100"} 0.5'));
  t.ok(first.includes('vector_search_recall{collection="c6",k="10"} 0'));
  now = 3_600_000;
  t.same(await lines(), []);
});
