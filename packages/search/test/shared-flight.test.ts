import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { readClusterAddress } from '@flowstate/contracts';
import { createEmbedder, type Embedder } from '@flowstate/models';
import { findDocuments, storeEmbeddings, upsertDocuments } from '@flowstate/store';
import { createTestDatabase, createTestRedis, keysOf } from '@flowstate/test';
import t, { type Test } from 'tap';
import { createSearch } from '../src/index.ts';
import { createEmbeddingsEndpoint, vectorOf } from './fixtures/embeddings-endpoint.ts';
import { createSearchFixture, ingest, openCache, patient } from './fixtures/search-fixture.ts';

const viewer = { id: '00000000-0000-7000-8000-000000000000', role: 'analyst' } as const;
const script = fileURLToPath(new URL('fixtures/search-process.ts', import.meta.url));

async function createProcesses(t: Test, leaseMs: number) {
  const { sql, url } = await createTestDatabase(t);
  const { cacheUrl } = await createTestRedis(t);
  const endpoint = await createEmbeddingsEndpoint(t);
  const [row] = await upsertDocuments(sql, [{ externalId: 'a', text: 'Refunds' }]);
  const [document] = await findDocuments(sql, [row?.id ?? '']);
  const item = { id: row?.id ?? '', contentHash: document?.contentHash ?? '', embedding: vectorOf('refunds') };
  await storeEmbeddings(sql, { model: 'test-model', items: [item] });
  const locks = await watchLocks(t, cacheUrl);
  const ask = () => {
    const child = spawn(process.execPath, [script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        DATABASE_URL: url,
        CACHE_URL: cacheUrl,
        EMBEDDINGS_URL: endpoint.url,
        QUERY: 'refunds',
        LEASE_MS: String(leaseMs),
      },
    });
    t.teardown(() => child.kill('SIGKILL'));
    return { child, answer: text(child.stdout).then((out) => JSON.parse(out) as unknown) };
  };
  return { endpoint, ask, ...locks };
}

/** Redis tells which connections ask for a lock, and how often one is renewed. Without ioredis, whose `monitor` takes such lines for answers. */
async function watchLocks(t: Test, cacheUrl: string) {
  const { hostname, port, pathname, password } = new URL(cacheUrl);
  const sources = new Set<string>();
  const news = new EventEmitter();
  async function watch(node: { host: string; port: number }): Promise<void> {
    const socket = connect(node);
    t.teardown(() => socket.destroy());
    if (password !== '') socket.write(`AUTH ${decodeURIComponent(password)}\r\n`);
    socket.write('MONITOR\r\n');
    const lines = createInterface({ input: socket });
    const begun = once(lines, 'line');
    lines.on('line', (line) => {
      const renewal = /\[(\d+) lua\] "pexpire" "[^"]+:lock"/i.exec(line);
      if (renewal?.[1] === (pathname.slice(1) || '0')) news.emit('renewed');
      const source = /\[(\d+) ([\d.]+:\d+)\] "eval" .*"2" "[^"]+" "[^"]+:lock"/i.exec(line);
      if (source === null || source[1] !== (pathname.slice(1) || '0')) return;
      sources.add(source[2] ?? '');
      news.emit('asked');
    });
    await begun;
  }
  await Promise.all((readClusterAddress(cacheUrl)?.nodes ?? [{ host: hostname, port: Number(port) }]).map(watch));
  // The tap timeout is the bound of both.
  return {
    async locksAsked(processes: number): Promise<void> {
      while (sources.size < processes) await once(news, 'asked');
    },
    async renewed(times: number): Promise<void> {
      for (let seen = 0; seen < times; seen++) await once(news, 'renewed');
    },
  };
}

t.test('a question that several processes ask at once is computed by one of them', async (t) => {
  const { endpoint, ask, locksAsked, renewed } = await createProcesses(t, 2_000);
  const first = ask();
  const answer = await endpoint.next();
  const others = [ask(), ask()];
  await locksAsked(3); // both look at the taken lock before its holder can finish
  await renewed(3); // and for longer than a lease
  answer();
  t.match(await first.answer, { cache: 'miss', requests: { miss: 1 } });
  for (const other of others) t.match(await other.answer, { cache: 'hit', requests: { waited: 1, miss: 0 } });
  t.equal(endpoint.asked(), 1);
});

t.test('the death of the process that computes holds nobody up for longer than its lease', async (t) => {
  const { endpoint, ask, locksAsked } = await createProcesses(t, 3_000);
  const first = ask();
  first.answer.catch(() => {}); // it prints nothing
  await endpoint.next();
  const second = ask();
  await locksAsked(2);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  (await endpoint.next())();
  t.match(await second.answer, { cache: 'miss', requests: { miss: 1 } });
  t.equal(endpoint.asked(), 2);
  t.match(await ask().answer, { cache: 'hit', requests: { hit: 1 } });
});

t.test('a failure ends the lock at once, and the next one tries', async (t) => {
  const { sql, cache, embedder, search, cacheUrl } = await createSearchFixture(t, { leaseMs: 600_000 });
  await ingest(sql, embedder, [{ externalId: 'a', text: 'Refunds take five days' }]);
  const broken: Embedder = createEmbedder({
    kind: 'endpoint',
    baseUrl: 'http://127.0.0.1:9', // nobody listens
    model: embedder.model,
  });
  t.teardown(() => broken.close());
  const other = await openCache(t, cacheUrl);
  const failing = createSearch({ sql, cache: other, embedder: broken, leaseMs: 600_000, ...patient });
  await t.rejects(failing.semantic({ query: 'refunds' }, viewer));
  t.match(failing.cacheStats().requests, { miss: 1, unavailable: 0 }, 'it had the lock');
  t.match(await search.semantic({ query: 'refunds' }, viewer), { cache: 'miss', items: [{ externalId: 'a' }] });
  t.same(await keysOf(cache, '*:lock'), [], 'and no lock is left');
});
