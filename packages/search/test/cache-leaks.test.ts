import { randomUUID } from 'node:crypto';
import { createEmbedder } from '@flowstate/models';
import { createRandom, emptyRedis, keysOf } from '@flowstate/test';
import type { Role, Viewer } from '@flowstate/contracts';
import { deleteDocument, expireAnswers, insertUser } from '@flowstate/store';
import t from 'tap';
import { createScopeEpoch, createSearch, type Search } from '../src/index.ts';
import { createSearchFixture, ingest, openCache, patient } from './fixtures/search-fixture.ts';

const collections = ['a-notes', 'b-notes', 'shared', 'payroll'];
const people = ['ann', 'bob', 'eve', 'kim'];
const roles: readonly Role[] = ['analyst', 'agent'];
const queries = ['refunds', 'password', 'salary', 'invoice sent twice'];
const rounds = 600;

t.test('no answer, cached or not, ever shows what its asker may not see or what is no longer there', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`FUZZ_SEED=${seed}`);
  const { next: random, pick } = createRandom(seed);
  const below = (n: number) => Math.floor(random() * n);

  const { sql, embedder, cacheUrl, cache } = await createSearchFixture(t);
  // Two processes: only Postgres and Redis are shared. One has no first tier, so that both tiers are looked at.
  const offline = createEmbedder({ kind: 'offline' });
  t.teardown(() => offline.close());
  const other = await openCache(t, cacheUrl);
  const epochs = [createScopeEpoch(cache), createScopeEpoch(other)] as const;
  const first = createSearch({ sql, cache, embedder, epoch: epochs[0], ...patient });
  const second = createSearch({ sql, cache: other, embedder: offline, localBytes: 0, epoch: epochs[1], ...patient });

  const viewers = new Map<string, Viewer>();
  for (const who of people) {
    const user = { email: `${who}@example.org`, name: who, role: pick(roles), passwordHash: null };
    const { id = '', role = user.role } = (await insertUser(sql, user)) ?? {};
    viewers.set(who, { id, role });
  }
  const owner = viewers.get('kim')?.id ?? '';
  for (const name of collections) {
    const visibility = name === 'shared' ? 'shared' : 'private';
    await sql`INSERT INTO collections (name, owner_id, visibility) VALUES (${name}, ${owner}, ${visibility})`;
  }
  // What is true, kept beside the system: grants as `collection grantee`.
  const grants = new Set<string>();
  const seenBy = (who: string) => {
    const { id, role } = viewers.get(who) ?? { id: '', role: '' };
    const open = (name: string) => [id, role].some((grantee) => grants.has(`${name} ${grantee}`));
    return new Set(collections.filter((name) => name === 'shared' || id === owner || open(name)));
  };
  async function toggle(): Promise<void> {
    const [name, who] = [pick(collections), pick(people)];
    const { id, role } = viewers.get(who) ?? { id: '', role: '' };
    const grantee = random() < 0.7 ? id : role;
    const [user, all] = grantee === id ? [id, null] : [null, role];
    if (grants.delete(`${name} ${grantee}`)) {
      await sql`DELETE FROM collection_grants WHERE collection = ${name} AND (user_id = ${user} OR role = ${all})`;
    } else {
      grants.add(`${name} ${grantee}`);
      await sql`INSERT INTO collection_grants (collection, user_id, role) VALUES (${name}, ${user}, ${all})`;
    }
  }
  const texts = new Map<string, { id: string; collection: string; text: string }>();
  const write = async (collection: string, n: number) => {
    const externalId = `${collection}-${n}`;
    const text = `${pick(queries)} ${below(5)} in ${collection}`;
    const [id = ''] = await ingest(sql, embedder, [{ externalId, collection, text }], viewers.get('kim'));
    texts.set(externalId, { id, collection, text });
  };
  for (const collection of collections) await write(collection, 0);

  async function askSimilar(search: Search, viewer: Viewer, mine: ReadonlySet<string>): Promise<void> {
    const source = pick([...texts.values()]);
    const limits = { threshold: -1, limit: 100 };
    if (!mine.has(source.collection)) {
      await t.rejects(search.similar(source.id, limits, viewer), { code: 'not_found' }, source.text);
      return;
    }
    const { items, cache: way } = await search.similar(source.id, limits, viewer);
    ways[way] += 1;
    const others = [...texts.values()].filter((doc) => doc.id !== source.id && mine.has(doc.collection));
    const wrong = items.filter((hit) => !others.some((doc) => doc.id === hit.id && doc.text === hit.text));
    leaks.push(...wrong.map((hit) => `${viewer.id} saw ${hit.externalId} by likeness: ${hit.text}`));
    if (items.length !== others.length) leaks.push(`${viewer.id} saw ${items.length} of ${others.length} by likeness`);
  }

  async function ask(): Promise<void> {
    const who = pick(people);
    const mine = seenBy(who);
    const viewer = viewers.get(who) ?? { id: '', role: 'analyst' };
    const named = random() < 0.5 ? { collection: pick(collections) } : {};
    const body = { query: pick(queries), threshold: -1, limit: pick([2, 100]), ...named };
    const search = pick([first, second]);
    const kind = pick(['semantic', 'hybrid'] as const);
    if (random() < 0.2) return await askSimilar(search, viewer, mine);
    if (named.collection !== undefined && !mine.has(named.collection)) {
      await t.rejects(search[kind](body, viewer), { code: 'not_found' }, `${who}: ${named.collection}`);
      return;
    }
    const { items, cache: way } = await search[kind](body, viewer);
    ways[way] += 1;
    const visible = [...texts.values()].filter(
      (doc) =>
        mine.has(named.collection ?? doc.collection) &&
        (named.collection === undefined || doc.collection === named.collection),
    );
    const wrong = items.filter((hit) => !visible.some((doc) => doc.id === hit.id && doc.text === hit.text));
    if (wrong.length > 0) leaks.push(...wrong.map((hit) => `${who} saw ${hit.externalId}: ${hit.text}`));
    if (items.length !== Math.min(visible.length, body.limit))
      leaks.push(`${who} saw ${items.length} of ${visible.length}`);
  }

  const ways = { hit: 0, miss: 0 };
  const leaks: string[] = [];
  // How many questions have been asked before is chance; the tap timeout is the bound.
  const bothWalked = () => ways.hit > rounds / 4 && ways.miss > rounds / 10;
  for (let round = 0; leaks.length === 0 && (round < rounds || !bothWalked()); round += 1) {
    const dice = random();
    if (dice < 0.12) await toggle();
    else if (dice < 0.15) await write(pick(collections), below(4));
    else if (dice < 0.17) {
      const [externalId, doc] = pick([...texts]);
      await deleteDocument(sql, doc.id, viewers.get('kim'));
      texts.delete(externalId);
      if (texts.size === 0) await write('shared', 0);
    } else if (dice < 0.18) await expireAnswers(sql, pick([...collections, undefined]));
    // What is committed is told before it is answered.
    if (dice < 0.18) await pick(epochs).changed();
    else if (dice < 0.185) await emptyRedis(cache);
    else if (dice < 0.6) await ask();
    else await Promise.all(Array.from({ length: 6 }, ask));
  }
  t.same(leaks, [], `FUZZ_SEED=${seed} repeats it`);
  t.comment(`${ways.hit} answers from the cache, ${ways.miss} computed`);
});

t.test('a cleared cache is cleared in every process at once, for the named collection alone', async (t) => {
  const { sql, embedder, cacheUrl, search: first, cache } = await createSearchFixture(t);
  const other = await openCache(t, cacheUrl);
  const second = createSearch({ sql, cache: other, embedder, ...patient });
  for (const collection of ['x', 'y']) await ingest(sql, embedder, [{ collection, text: 'Refunds' }]);
  const ways = async () =>
    Promise.all(
      ['x', 'y'].flatMap((collection) =>
        [first, second].map(
          async (s) =>
            (await s.semantic({ query: 'refunds', collection }, { id: randomUUID(), role: 'analyst' })).cache,
        ),
      ),
    );
  await ways();
  t.same(await ways(), ['hit', 'hit', 'hit', 'hit']);
  const keys = await keysOf(cache, 'vector-search:{*');
  t.same(await expireAnswers(sql, 'x'), ['x']);
  const [x1, x2, y1, y2] = await ways();
  t.ok(x1 === 'miss' || x2 === 'miss', 'computed anew, by one of the two');
  t.same([y1, y2], ['hit', 'hit']);
  t.same(await expireAnswers(sql), ['x', 'y']);
  t.notSame(await ways(), ['hit', 'hit', 'hit', 'hit']);
  const exist = await Promise.all(keys.map((key) => cache.exists(key)));
  t.ok(!exist.includes(0) && exist.length > 0, 'nothing was deleted: it is out of reach');
  t.same(await expireAnswers(sql, 'nowhere'), []);
});
