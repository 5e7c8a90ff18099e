import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { createEmbedder, type Embedder } from '../src/index.ts';

const fragile = new URL('./fixtures/fragile-thread.ts', import.meta.url);

function offline(t: Test, options: { maxQueued?: number; thread?: URL } = {}): Embedder {
  const embedder = createEmbedder({ kind: 'offline', ...options });
  t.teardown(() => embedder.close());
  return embedder;
}

function cosine(a: readonly number[] = [], b: readonly number[] = []): number {
  const dot = a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b));
}

t.test('texts of like meaning are near, others far', async (t) => {
  const embedder = offline(t);
  const pairs = [
    [
      'How do I reset my password?',
      'I forgot my login credentials and cannot sign in',
      'The invoice was charged twice',
    ],
    [
      'The invoice was charged twice',
      'We were billed two times for the same month',
      'Webhook deliveries fail with a timeout',
    ],
    [
      'Customer wants to cancel the contract',
      'They intend to end their subscription',
      'The chart shows revenue by region',
    ],
  ] as const;
  for (const [text, like, unlike] of pairs) {
    const [a, b, c] = await embedder.embed([text, like, unlike]);
    t.equal(a?.length, embedder.dimensions);
    t.ok(cosine(a, b) > 0.35, `${text} ~ ${like}: ${cosine(a, b).toFixed(2)}`);
    t.ok(cosine(a, c) < 0.25, `${text} !~ ${unlike}: ${cosine(a, c).toFixed(2)}`);
  }
});

t.test('calls at the same time get their own vectors, in order', async (t) => {
  const embedder = offline(t);
  const texts = ['alpha', 'beta', 'gamma', 'delta'];
  const alone = await embedder.embed(texts);
  const [forward, backward, none] = await Promise.all([
    embedder.embed(texts),
    embedder.embed(texts.toReversed()),
    embedder.embed([]),
  ]);
  t.same(forward, alone);
  t.same(backward, alone.toReversed());
  t.same(none, []);
});

t.test('odd texts are embedded too: half a surrogate pair, control characters, a book', async (t) => {
  const vectors = await offline(t).embed(['\ud800', '\0', 'word '.repeat(20_000)]);
  for (const vector of vectors) t.ok(vector.length === 384 && vector.every(Number.isFinite));
});

t.test('a short call does not wait for the end of a long one', async (t) => {
  const embedder = offline(t, { thread: fragile });
  const ends: string[] = [];
  const long = embedder.embed(Array<string>(200).fill('x')).then(() => ends.push('long'));
  await embedder.embed(['y']).then(() => ends.push('short'));
  await long;
  t.same(ends, ['short', 'long']);
});

t.test('a thread that dies fails the call it worked on and is started anew for the others', async (t) => {
  const embedder = offline(t, { thread: fragile });
  const outcomes = await Promise.allSettled([
    embedder.embed(['crash']),
    embedder.embed(['four']),
    embedder.embed(['exit']),
    embedder.embed(['fifth', 'sixths']),
  ]);
  t.match(outcomes, [
    { status: 'rejected', reason: { code: 'unavailable', cause: { message: 'trapped' } } },
    { status: 'fulfilled', value: [[4]] },
    { status: 'rejected', reason: { code: 'unavailable' } },
    { status: 'fulfilled', value: [[5], [6]] },
  ]);
});

t.test('a thread that cannot even start is an error, not a hang', async (t) => {
  const embedder = offline(t, { thread: new URL('./fixtures/no-such-thread.ts', import.meta.url) });
  await t.rejects(embedder.embed(['x']), { code: 'unavailable' });
});

t.test('an aborted call ends at once, before, while and after it waits', async (t) => {
  const embedder = offline(t, { thread: fragile });
  await t.rejects(embedder.embed(['x'], AbortSignal.abort(new Error('gone'))), { message: 'gone' });
  const stop = new AbortController();
  const running = embedder.embed(['x', 'x'], stop.signal);
  const waiting = embedder.embed(['x'], stop.signal);
  stop.abort(new Error('gone'));
  await t.rejects(running, { message: 'gone' });
  await t.rejects(waiting, { message: 'gone' });
  t.same(await embedder.embed(['abc']), [[3]]);
});

t.test('the queue is bounded', async (t) => {
  const embedder = offline(t, { thread: fragile, maxQueued: 3 });
  const taken = [embedder.embed(['a']), embedder.embed(['b', 'c', 'd'])];
  await t.rejects(embedder.embed(['e']), { code: 'unavailable' });
  t.same(await Promise.all(taken), [[[1]], [[1], [1], [1]]]);
  t.same(await embedder.embed(['e']), [[1]]);
});

t.test('closing rejects what waits and what comes later', async (t) => {
  const embedder = offline(t, { thread: fragile });
  const waiting = [embedder.embed(['a']), embedder.embed(['b'])];
  const outcomes = Promise.allSettled(waiting);
  await embedder.close();
  t.match(await outcomes, [{ reason: { code: 'unavailable' } }, { reason: { code: 'unavailable' } }]);
  await t.rejects(embedder.embed(['c']), { code: 'unavailable' });
});

t.test('a process that has its answer ends by itself', async (t) => {
  const script = new URL('./fixtures/embed-and-end.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 60_000, env: {} });
  t.equal(stdout, '384\n');
});
