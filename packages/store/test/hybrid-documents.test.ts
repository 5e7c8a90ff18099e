import { defaultWeights, type SearchHit } from '@flowstate/contracts';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  findDocument,
  findDocumentEmbedding,
  matchHybrid,
  storeEmbeddings,
  upsertDocuments,
  type HybridMatch,
  type Sql,
} from '../src/index.ts';

const model = 'm';

/** Stores documents with embeddings of three dimensions, whose axes are what they are about. */
async function fill(sql: Sql, documents: Record<string, [text: string, embedding: number[], metadata?: object]>) {
  const rows = Object.entries(documents).map(([externalId, [text, , metadata]]) => ({
    externalId,
    text,
    metadata: { ...metadata },
  }));
  await upsertDocuments(sql, rows);
  for (const [externalId, [, embedding]] of Object.entries(documents)) {
    const { id = '', contentHash = '' } = (await findDocument(sql, externalId)) ?? {};
    await storeEmbeddings(sql, { model, items: [{ id, contentHash, embedding }] });
  }
}

const ask = (sql: Sql, text: string, embedding: number[], more: Partial<HybridMatch> = {}) =>
  matchHybrid(sql, {
    text,
    embedding,
    threshold: 0.5,
    limit: 10,
    weights: defaultWeights,
    filter: {},
    collections: ['knowledge'],
    ...more,
  });

const names = (hits: SearchHit[]) => hits.map((hit) => hit.externalId);

t.test('meaning and words are fused by their weighted ranks', async (t) => {
  const { sql } = await createTestDatabase(t);
  await fill(sql, {
    near: ['Money comes back to your card', [1, 0, 0]],
    nearer: ['Refunds for cancelled orders', [1, 0.1, 0]],
    code: ['Error E4711: the refund was declined', [0, 0, 1]],
    other: ['Opening hours of the office', [0, 1, 0]],
  });
  const hits = await ask(sql, 'E4711 refund', [1, 0.02, 0]);
  t.same(names(hits), ['nearer', 'near', 'code']);
  t.match(hits, [
    { ranks: { vector: 2, text: 2 } },
    { ranks: { vector: 1, text: null } },
    { ranks: { vector: null, text: 1 }, similarity: 0, text: 'Error E4711: the refund was declined' },
  ]);
  for (const [i, score] of [1 / 4 + 0.4 / 4, 1 / 3, 0.4 / 3].entries()) {
    t.ok(Math.abs((hits[i]?.score ?? 0) - score) < 1e-9, `score ${i}`);
  }
  const weighted = (vector: number, text: number) =>
    ask(sql, 'E4711 refund', [1, 0.02, 0], { weights: { vector, text } });
  t.same(names(await weighted(0.2, 1)), ['code', 'nearer', 'near']);
  t.same(names(await weighted(1, 0)), ['near', 'nearer']);
  const worded = await weighted(0, 1);
  t.same(names(worded), ['code', 'nearer']);
  t.ok((worded[1]?.similarity ?? 0) > 0.99, 'its own similarity, also where words alone have found it');
  t.same(names(await ask(sql, 'E4711 refund', [1, 0.02, 0], { limit: 1 })), ['nearer']);
  t.same(await ask(sql, 'E4711 refund', [1, 0.02, 0], { limit: 0 }), []);
  t.same(
    await ask(sql, 'E4711 refund', [1, 0.02, 0], { exact: true }),
    hits,
    'an exact search of so few answers the same',
  );
});

t.test('whatever is typed is searched for as words', async (t) => {
  const { sql } = await createTestDatabase(t);
  await fill(sql, {
    slash: ["It's in C:\\temp\\x or /usr/lib/a.so, says O'Hara & Sons | ! <-> :*", [0, 0, 1]],
    swedish: ['Fakturan är försenad', [0, 0, 1]],
  });
  const found = async (text: string) => names(await ask(sql, text, [1, 0, 0]));
  t.same(await found('/usr/lib/a.so'), ['slash']);
  t.same(await found("O'Hara"), ['slash']);
  t.same(await found("C:\\temp\\x ' \\' '' & | ! ( :* <->"), ['slash']);
  t.same(await found('fakturan'), ['swedish']);
  t.same(await found('the of and it'), [], 'words that everything has say nothing');
  t.same(await found('?!'), []);
  const long = Array.from({ length: 1_000 }, (_, i) => `a${i}`).join(' ');
  t.same(await found(`${long} fakturan`), [], 'of very many words a hundred are looked for');
});

t.test('words found in a long text answer it with the part nearest in meaning', async (t) => {
  const { sql } = await createTestDatabase(t);
  const text = 'About E4711. Its cure. Else. ';
  await upsertDocuments(sql, [{ externalId: 'long', text }]);
  const { id = '', contentHash = '' } = (await findDocument(sql, 'long')) ?? {};
  const part = (index: number, begin: number, length: number, embedding: number[]) => ({
    id,
    contentHash,
    chunk: { index, of: 3, begin, length },
    embedding,
  });
  const items = [part(2, 23, 5, [0, 0, 1]), part(1, 13, 10, [0.3, 1, 0]), part(0, 0, 13, [0, 1, 0])];
  t.same(await ask(sql, 'E4711', [1, 0, 0]), [], 'not before it is embedded');
  await storeEmbeddings(sql, { model, items });
  t.match(await ask(sql, 'E4711', [1, 0, 0]), [
    { externalId: 'long', text: 'Its cure. ', ranks: { vector: null, text: 1 } },
  ]);
  t.match(await ask(sql, 'E4711', [0, 0, 1]), [{ text: 'Else.', ranks: { vector: 1, text: 1 }, similarity: 1 }]);
  t.equal((await ask(sql, 'E4711', [0, 0, 1])).length, 1, 'found twice, answered once');
  const mean = (await findDocumentEmbedding(sql, 'long', {}))?.embedding ?? [];
  const expected = [0.3 / Math.hypot(0.3, 1) / 3, (1 / Math.hypot(0.3, 1) + 1) / 3, 1 / 3];
  t.ok(
    expected.every((x, i) => Math.abs(x - (mean[i] ?? 0)) < 1e-6),
    'as a whole it is the mean of its parts',
  );
});

t.test('filter, collections and their viewer hold for words as for meaning', async (t) => {
  const { sql } = await createTestDatabase(t);
  await fill(sql, {
    gold: ['E4711', [1, 0, 0], { tier: 'gold' }],
    iron: ['E4711', [0, 1, 0], { tier: 'iron' }],
    mine: ['E4711', [0, 0, 1]],
  });
  const owner = '00000000-0000-7000-8000-000000000001';
  await sql`INSERT INTO users (id, email, name, role, password_hash) VALUES (${owner}, 'a@b', 'A', 'analyst', 'x')`;
  await sql`
    INSERT INTO collections (name, model, dimensions, owner_id, visibility)
    VALUES ('private', ${model}, 3, ${owner}, 'private')`;
  await sql`UPDATE documents SET collection = 'private' WHERE external_id = 'mine'`;
  t.same(names(await ask(sql, 'E4711', [1, 0, 0])), ['gold', 'iron']);
  t.same(names(await ask(sql, 'E4711', [1, 0, 0], { filter: { tier: 'iron' } })), ['iron']);
  const collections = ['knowledge', 'private'];
  const viewer = { id: owner, role: 'analyst' } as const;
  const seen = names(await ask(sql, 'E4711', [1, 0, 0], { collections, viewer }));
  t.same(new Set(seen), new Set(['gold', 'iron', 'mine']));
  for (const exact of [true, false]) {
    await t.rejects(
      ask(sql, 'E4711', [1, 0, 0], {
        collections,
        exact,
        viewer: { ...viewer, id: '00000000-0000-7000-8000-000000000002' },
      }),
      { code: 'FS001' },
      'the query itself refuses what the viewer does not see',
    );
  }
});

t.test('only words that tell documents apart select them', async (t) => {
  const { sql } = await createTestDatabase(t);
  await sql`INSERT INTO collections (name, model, dimensions) VALUES ('knowledge', ${model}, 3)`;
  await sql`
    INSERT INTO documents (id, collection, text, content_hash, embedding)
    SELECT md5('d' || i)::uuid, 'knowledge', 'common ' || CASE WHEN i % 50 = 0 THEN 'rare' ELSE 'usual' END, 'h', '[0,0,1]'
    FROM generate_series(1, 500) i`;
  await sql`ANALYZE documents`;
  const queries = async (text: string) => {
    const [row] = await sql<{ selecting: string | null; ranking: string | null }[]>`
      SELECT selecting::text, ranking::text FROM word_queries(${text})`;
    return { ...row };
  };
  t.same(await queries('the common rare usual'), {
    selecting: "'rare'",
    ranking: "'rare' | 'usual' | 'common'",
  });
  t.same(
    await queries('common usual'),
    { selecting: "'usual' & 'common'", ranking: "'usual' | 'common'" },
    'all of them',
  );
  t.same(await queries('of'), { selecting: null, ranking: null });
  t.equal((await ask(sql, 'common rare', [1, 0, 0], { limit: 100 })).length, 10);
  // As if there were a million of them: what finds too many is not looked for.
  await sql`UPDATE pg_class SET reltuples = 1000000 WHERE oid = 'documents'::regclass`;
  t.match(await queries('common usual'), { selecting: null });
  t.match(await queries('common rare E4711'), { selecting: "'e4711'" }, 'a rare word still is');
});

t.test('the longest text of the most different words can be stored', async (t) => {
  const { sql } = await createTestDatabase(t);
  // 33,000 words of two characters of four bytes each; then one word of 100,000 characters.
  const words = Array.from({ length: 33_000 }, (_, i) =>
    String.fromCodePoint(0x20000 + (i % 180), 0x20000 + Math.floor(i / 180)),
  );
  const ascii = Array.from({ length: 20_000 }, (_, i) => (i + 36 ** 3).toString(36));
  const stored = await upsertDocuments(sql, [
    { text: words.join(' ') },
    { text: ascii.join(' ').slice(0, 100_000), title: 'x '.repeat(250) },
    { text: 'a'.repeat(100_000) },
  ]);
  t.equal(stored.length, 3);
});
