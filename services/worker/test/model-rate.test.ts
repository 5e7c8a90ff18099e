import { createLogger } from '@flowstate/runtime';
import { createTestRedis, openRedis } from '@flowstate/test';
import type { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { createModelRate, type RateLimits } from '../src/model-rate.ts';

const { url, flush } = await createTestRedis(t);
const log = createLogger('test', 'silent');

/** A worker's way to the common limits. */
function workerOf(t: Pick<Test, 'teardown'>, limits: Partial<RateLimits>) {
  const redis = openRedis(url, { maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  t.teardown(() => redis.disconnect());
  return { redis, ...createModelRate(redis, { requests: undefined, tokens: undefined, ...limits }, log) };
}

/** A Redis that knows that nothing was asked in the last minute. */
async function idle(redis: Redis): Promise<void> {
  await redis.del('{flowstate}:model-rate');
  await redis.hset('{flowstate}:model-rate', 'next', 0);
}

t.test('two workers share the minute; who comes too late gets a turn of his own', async (t) => {
  const limits = { requests: 30, tokens: 100_000 };
  const [one, other] = [workerOf(t, limits), workerOf(t, limits)];
  await idle(one.redis);
  const waits = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? one : other).take(100)));
  t.equal(waits.filter((ms) => ms === 0).length, 30);
  const later = waits.filter((ms) => ms > 0).toSorted((a, b) => a - b);
  t.equal(later.length, 20);
  // All 30 were taken within a second or two: their places are free a minute later, one each 2 seconds then.
  t.ok((later[0] ?? 0) > 55_000 && (later[0] ?? 0) <= 61_000, `${later[0]} ms`);
  const steps = later.slice(1).map((ms, i) => ms - (later[i] ?? 0));
  t.ok(
    steps.every((ms) => ms >= 1_500),
    `one after the other: ${steps.join(' ')}`,
  );
});

t.test('tokens are counted as well, and a call larger than the minute passes alone', async (t) => {
  const { redis, take } = workerOf(t, { tokens: 1_000 });
  await idle(redis);
  t.equal(await take(600), 0);
  t.equal(await take(400), 0);
  t.ok((await take(1)) > 50_000);
  await idle(redis);
  t.equal(await take(5_000), 0);
  t.ok((await take(1)) > 50_000);
});

t.test('a flushed Redis lets nothing burst: what the provider has seen is assumed to be all it allows', async (t) => {
  const { redis, take } = workerOf(t, { requests: 60 });
  await idle(redis);
  t.equal(await take(1), 0);
  await flush();
  const waits = await Promise.all(Array.from({ length: 10 }, () => take(1)));
  t.ok(
    waits.every((ms) => ms > 0),
    waits.join(' '),
  );
  t.ok(Math.min(...waits) <= 2_000, 'a place each second, as in an even minute');
});

t.test('without Redis calls wait, and without limits nothing is asked of it', async (t) => {
  const { redis, take } = workerOf(t, { requests: 60 });
  redis.disconnect();
  t.equal(await take(1), 5_000);
  const free = workerOf(t, {});
  free.redis.disconnect();
  t.equal(await free.take(1), 0);
});
