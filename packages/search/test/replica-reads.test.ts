import type { Viewer } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import { createSql, grantCollection, insertUser, revokeCollection, writeCollection, type Sql } from '@flowstate/store';
import { createTestDatabase, startOwnStores, startStandby } from '@flowstate/test';
import t from 'tap';
import { createSearchFixture, ingest } from './fixtures/search-fixture.ts';

/** Everything is near to everything: these tests are about where it is read. */
const embedder: Embedder = {
  model: 'near',
  dimensions: 3,
  embed: async (texts) => texts.map(() => [1, 0, 0]),
  close: async () => {},
};
const body = { query: 'refunds', threshold: -1, collection: 'manual' };

const stores = await startOwnStores(t);
if (typeof stores === 'string') {
  t.pass('replica reads', { skip: stores });
} else {
  const { url, sql } = await createTestDatabase(t, stores.databaseUrl);
  const person = async (name: string, role: Viewer['role']): Promise<Viewer> => {
    const user = await insertUser(sql, { email: `${name}@example.org`, name, role, passwordHash: null });
    return { id: user?.id ?? '', role };
  };
  const [owner, guest] = [await person('owner', 'manager'), await person('guest', 'analyst')];
  await writeCollection(sql, 'manual', { visibility: 'private' }, owner);
  const grant = { collection: 'manual', kind: 'users', grantee: guest.id } as const;
  await grantCollection(sql, grant, owner);
  const store = (externalId: string) =>
    ingest(sql, embedder, [{ externalId, text: `Refunds ${externalId}`, collection: 'manual' }], owner);
  await store('one');

  const standby = await startStandby(t, url);
  const replica = createSql(standby.url, { name: 'test', max: 2 });
  t.teardown(() => replica.end());
  // Nothing is kept here, so that every search reads.
  const { search, seen } = await createSearchFixture(t, { sql, replica, embedder, ttlSeconds: 1, localBytes: 0 });
  let asked = 0;
  /** What a search finds that nobody asked before, and where it was read. */
  const find = async (viewer = guest) => {
    asked += 1;
    const { items } = await search.semantic({ ...body, query: `refunds ${asked}` }, viewer);
    return { found: items.map(({ externalId }) => externalId ?? '').toSorted(), from: seen.readFrom.splice(0) };
  };
  const replayed = () => caughtUp(sql, replica);

  t.test('a replica that has everything answers every kind of search', async (t) => {
    await replayed();
    t.same(await find(), { found: ['one'], from: ['replica'] });
    await search.hybrid(body, guest);
    await search.similar('one', { within: 'manual', threshold: -1 }, guest);
    t.same(seen.readFrom.splice(0), ['replica', 'replica']);
  });

  t.test('what is written is found at once, wherever the replica is; access taken away is gone', async (t) => {
    await replica`SELECT pg_wal_replay_pause()`;
    await store('two');
    t.same(await find(), { found: ['one', 'two'], from: ['behind'] });
    await revokeCollection(sql, grant, owner);
    await t.rejects(find(), { code: 'not_found' });
    await replica`SELECT pg_wal_replay_resume()`;
    await replayed();
    t.same(await find(owner), { found: ['one', 'two'], from: ['replica'] });
  });

  t.test('without the replica the primary answers', async (t) => {
    await standby.kill();
    t.same(await find(owner), { found: ['one', 'two'], from: ['away'] });
    t.same(await find(owner), { found: ['one', 'two'], from: ['away'] });
  });
}

/** Resolves when the replica has replayed what the primary has written by now. */
async function caughtUp(primary: Sql, replica: Sql): Promise<void> {
  const [{ lsn } = {}] = await primary<{ lsn: string }[]>`SELECT pg_current_wal_lsn()::text AS lsn`;
  for (;;) {
    const [{ there } = {}] = await replica<{ there: boolean }[]>`
      SELECT pg_last_wal_replay_lsn() >= ${lsn ?? ''}::pg_lsn AS there`;
    if (there === true) return;
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
