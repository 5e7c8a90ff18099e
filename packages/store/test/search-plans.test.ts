import { createTestDatabase } from '@flowstate/test';
import postgres from 'postgres';
import t from 'tap';
import {
  dropUnusedDimension,
  explainMatch,
  indexNextDimension,
  matchDocuments,
  matchHybrid,
  type Db,
  type Match,
  type Sql,
} from '../src/index.ts';

const collections = ['knowledge', 'elsewhere'];
const rows = 4_000;

/** Documents with pseudo-random (setseed) embeddings; each tenth is long. Enough for HNSW to be the cheaper plan. */
async function fill(sql: Sql): Promise<void> {
  await sql`INSERT INTO collections (name, model, dimensions) SELECT name, 'm', 384 FROM unnest(${collections}::text[]) name`;
  await sql`SELECT setseed(0.5)`;
  await sql`
    INSERT INTO documents (id, collection, text, content_hash, embedding, first_length, metadata)
    SELECT md5('d' || i)::uuid, CASE WHEN i % 2 = 0 THEN 'knowledge' ELSE 'elsewhere' END, 'Part one. E' || i, 'h',
           array(SELECT random() - 0.5 FROM generate_series(1, 384) WHERE i > 0)::vector, CASE WHEN i % 10 = 0 THEN 10 END,
           jsonb_build_object('n', i, 'odd', i % 2 = 1 OR i <= 20)
    FROM generate_series(1, ${rows}::int) i`;
  await sql`
    INSERT INTO document_chunks (document_id, index, content_hash, begin, length, embedding)
    SELECT id, 1, 'h', 10, 5, array(SELECT random() - 0.5 FROM generate_series(1, 384) WHERE first_length > 0)::vector
    FROM documents WHERE first_length IS NOT NULL`;
  await sql`VACUUM ANALYZE documents, document_chunks`;
}

t.test('searches on 4,000 documents', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  await fill(sql);
  const plans: string[] = [];
  const watched = postgres(url, { max: 1, onnotice: (notice) => plans.push(notice['message'] ?? '') });
  t.teardown(() => watched.end());
  await watched.unsafe(`
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_level = notice`);
  const [some] = await sql<
    { embedding: string }[]
  >`SELECT embedding::text FROM documents WHERE metadata @> '{"n": 77}'`;
  const embedding = JSON.parse(some?.embedding ?? '[]') as number[];
  const wanted: Match = { embedding, threshold: -1, limit: 10, filter: {}, collections };
  const hybrid = { text: 'part E77 E78', weights: { vector: 1, text: 1 } };
  /** Everything Postgres ran for it. */
  const watch = async (ask: () => Promise<unknown>): Promise<string> => {
    plans.length = 0;
    await ask();
    return plans.join('\n');
  };
  /** With the controller's rights. */
  const asController = (work: (tx: Db) => Promise<number | null>) =>
    sql.begin(async (tx) => {
      await tx`SET LOCAL ROLE flowstate_app`;
      return await work(tx);
    });
  const indexAll = async (): Promise<number[]> => {
    const next = await asController(indexNextDimension);
    return next === null ? [] : [next, ...(await indexAll())];
  };
  const hnsw = /Index Scan using document(s|_chunks)_embedding_384/;

  await t.test('an exact one uses no approximate index, and is right', async (t) => {
    const indexed = await watch(() => matchDocuments(watched, wanted));
    t.match(indexed, /Index Scan using documents_embedding_384/);
    t.match(await watch(() => matchHybrid(watched, { ...wanted, ...hybrid })), hnsw);
    for (const exact of [
      await watch(() => matchDocuments(watched, { ...wanted, exact: true })),
      await watch(() => matchHybrid(watched, { ...wanted, ...hybrid, exact: true })),
    ]) {
      t.match(exact, /nearest/);
      t.notMatch(exact, hnsw);
    }
    const rare = await watch(() => matchDocuments(watched, { ...wanted, filter: { n: 7 }, exact: true }));
    t.match(rare, /Bitmap Index Scan on documents_metadata/, 'what a filter leaves is found by its index all the same');
    const nearest = await sql<{ id: string }[]>`
      WITH parts AS (
        SELECT id, embedding FROM documents UNION ALL SELECT document_id, embedding FROM document_chunks
      )
      SELECT id FROM parts GROUP BY id ORDER BY min(embedding <=> ${`[${embedding.join()}]`}::vector) LIMIT 10`;
    t.same(
      (await matchDocuments(sql, { ...wanted, exact: true })).map((hit) => hit.id),
      nearest.map((row) => row.id),
    );
  });

  await t.test('hybrid search finds words by their index', async (t) => {
    const plan = await watch(() => matchHybrid(watched, { ...wanted, ...hybrid, text: 'E77' }));
    t.match(plan, /Bitmap Index Scan on documents_words/);
    const [hit] = await matchHybrid(sql, {
      ...wanted,
      ...hybrid,
      text: 'E78 E79',
      limit: 1,
      weights: { vector: 0, text: 1 },
    });
    t.match(hit?.text, /E7[89]/);
  });

  await t.test('what is told of a plan is the plan', async (t) => {
    const scans = (plan: string) =>
      [...plan.matchAll(/(?:Index Scan using|Bitmap Index Scan on|Seq Scan on) (\w+)/g)].map(([, name]) => name);
    const told = (value: unknown): string[] => {
      if (Array.isArray(value)) return value.flatMap(told);
      if (typeof value !== 'object' || value === null) return [];
      const node = value as Record<string, unknown>;
      const name = node['Index Name'] ?? (node['Node Type'] === 'Seq Scan' ? node['Relation Name'] : undefined);
      return [...(typeof name === 'string' ? [name] : []), ...told(node['Plan']), ...told(node['Plans'])];
    };
    for (const match of [
      wanted,
      { ...wanted, exact: true },
      { ...wanted, filter: { n: 7 } },
      { ...wanted, limit: 100 },
    ]) {
      await watch(() => matchDocuments(watched, match));
      const ran = plans.filter((plan) => plan.includes('CTE nearest')).map((plan) => scans(plan)[0]);
      const explained = (await explainMatch(sql, match)).map((plan) => told(plan)[0]);
      t.same(new Set(explained), new Set(ran), JSON.stringify({ ...match, embedding: 0 }));
    }
  });

  await t.test('a filter that runs the index dry still fills the limit', async (t) => {
    const forced = postgres(url, { max: 1 });
    t.teardown(() => forced.end());
    // Nothing but HNSW, which gives up early: as with a filter that statistics mislead, among very many.
    await forced.unsafe(`
      SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1`);
    const [dry] = await forced<{ n: number }[]>`
      SELECT count(*)::int AS n FROM (
        SELECT FROM documents WHERE dimensions = 384 AND collection = 'knowledge' AND metadata @> '{"odd": true}'
        ORDER BY embedding::halfvec(384) <=> ${`[${embedding.join()}]`}::halfvec LIMIT 10) found`;
    t.ok((dry?.n ?? 0) < 10, `${dry?.n} found by the index alone`);
    const hits = await matchDocuments(forced, { ...wanted, filter: { odd: true }, collections: ['knowledge'] });
    t.equal(hits.length, 10);
    t.ok(hits.every((hit) => hit.collection === 'knowledge' && hit.metadata['odd'] === true));
    const exact = await matchDocuments(sql, {
      ...wanted,
      filter: { odd: true },
      collections: ['knowledge'],
      exact: true,
    });
    t.same(hits, exact);
    const [settings] =
      await forced`SELECT current_setting('enable_indexscan') AS scan, current_setting('hnsw.ef_search') AS ef`;
    t.same({ ...settings }, { scan: 'on', ef: '40' }, 'what a search sets for itself ends with it');
  });

  await t.test('every dimension that comes into use gets its index, and searches use it', async (t) => {
    t.equal(await asController(indexNextDimension), null, 'all that are in use have theirs');
    await sql`
      INSERT INTO collections (name, model, dimensions)
      VALUES ('wide', 'wide', 768), ('wider', 'wider', 3072), ('widest', 'widest', 4001)`;
    await sql`INSERT INTO collection_reindexes (collection, model, dimensions) VALUES ('knowledge', 'n', 256)`;
    await sql`
      INSERT INTO documents (id, collection, text, content_hash, embedding, first_length)
      SELECT md5('w' || i)::uuid, 'wide', 'One. Two', 'h',
             array(SELECT random() - 0.5 FROM generate_series(1, 768) WHERE i > 0)::vector, 4
      FROM generate_series(1, 100) i`;
    await sql`
      INSERT INTO document_chunks (document_id, index, content_hash, begin, length, embedding)
      SELECT id, 1, 'h', 5, 3, embedding FROM documents WHERE collection = 'wide'`;
    const [wide] = await sql<{ embedding: string }[]>`
      SELECT embedding::text FROM documents WHERE collection = 'wide' AND id = md5('w7')::uuid`;
    const match = { ...wanted, embedding: JSON.parse(wide?.embedding ?? '[]') as number[], collections: ['wide'] };
    // So few are read and sorted sooner.
    await watched.unsafe('SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off');
    const scanned = await matchDocuments(watched, match);
    t.notMatch(plans.join('\n'), /embedding_768/);

    t.same(await indexAll(), [768, 3072, 256], 'the oldest first, and HNSW takes no more');
    const indexed = await watch(async () => {
      t.same(await matchDocuments(watched, match), scanned);
    });
    t.match(indexed, /Index Scan using documents_embedding_768/);
    t.match(indexed, /Index Scan using document_chunks_embedding_768/);
    t.notMatch(await watch(() => matchDocuments(watched, { ...match, exact: true })), /embedding_768/);
    await sql`
      INSERT INTO collections (name, model, dimensions) SELECT 'c' || i, 'c' || i, i FROM generate_series(1, 9) i`;
    t.equal((await sql`SELECT dimensions_to_index()`).length, 4, 'eight in all');
  });

  await t.test('the index of a dimension that nobody has makes room, unless it is searched or written', async (t) => {
    await sql`DELETE FROM documents WHERE collection = 'wide'`;
    await sql`DELETE FROM collections WHERE name IN ('wide', 'widest')`;
    t.equal(await asController(dropUnusedDimension), null, 'while there is room it stays');
    t.same(await indexAll(), [1, 2, 3, 4]);
    await sql.begin(async (reader) => {
      await reader`SELECT FROM documents LIMIT 1`;
      t.equal(await asController(dropUnusedDimension), null, 'nobody is waited for');
    });
    await sql`INSERT INTO collection_reindexes (collection, model, dimensions) VALUES ('elsewhere', 'wide', 768)`;
    t.equal(await asController(dropUnusedDimension), null, 'it comes into use again');
    await sql`DELETE FROM collection_reindexes WHERE collection = 'elsewhere'`;
    t.equal(await asController(dropUnusedDimension), 768);
    const left = await sql`SELECT FROM pg_class WHERE relname ~ '_embedding_768$'`;
    t.equal(left.length, 0, 'of documents and of their parts');
    t.equal(await asController(indexNextDimension), 5, 'the next in line has its own');
    t.equal(await asController(dropUnusedDimension), null, 'all that are left are in use');
    await sql`DELETE FROM documents`;
    await sql`DELETE FROM collections WHERE dimensions = 384`;
    t.equal(await asController(dropUnusedDimension), 256);
    t.equal(await asController(indexNextDimension), 6);
    t.equal(await asController(dropUnusedDimension), null, "the offline model's stays");
  });
});
