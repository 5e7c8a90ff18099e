import t from 'tap';
import { createBatcher } from '../src/index.ts';

t.test('what arrives while a batch is under way leaves together as the next one', async (t) => {
  const batches: number[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const batcher = createBatcher<number, number>({
    async flush(items) {
      batches.push(items);
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      return items.map((n) => n * 10);
    },
  });
  const first = batcher.add(1);
  await Promise.resolve();
  const later = [batcher.add(2), batcher.add(3)];
  t.same(batches, [[1]], 'the first left at once');
  gates[0]?.resolve();
  t.equal(await first, 10);
  while (gates.length < 2) await new Promise(setImmediate); // the lane is freed a few turns later
  gates[1]?.resolve();
  t.same(await Promise.all(later), [20, 30]);
  t.same(batches, [[1], [2, 3]]);
});

t.test('one bad row fails alone', async (t) => {
  const batcher = createBatcher<string, string>({
    async flush(items) {
      if (items.includes('bad')) throw Object.assign(new Error('invalid text'), { code: '22P05' });
      return items;
    },
  });
  const results = await Promise.allSettled(['a', 'bad', 'b'].map((item) => batcher.add(item)));
  t.same(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

t.test('an outage fails the whole batch, once', async (t) => {
  let calls = 0;
  const batcher = createBatcher<string, string>({
    flush() {
      calls += 1;
      return Promise.reject(Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' }));
    },
  });
  const results = await Promise.allSettled([batcher.add('a'), batcher.add('b')]);
  t.same(
    results.map((r) => r.status),
    ['rejected', 'rejected'],
  );
  t.equal(calls, 1);
});

t.test('a full buffer refuses at once and has room again afterwards', async (t) => {
  const gate = Promise.withResolvers<void>();
  const batcher = createBatcher<string, string>({
    async flush(items) {
      await gate.promise;
      return items;
    },
    sizeOf: (item) => item.length,
    maxBytes: 10,
  });
  const kept = batcher.add('12345678');
  await t.rejects(batcher.add('12345'), { code: 'unavailable', retryAfter: 1 });
  gate.resolve();
  await kept;
  t.equal(await batcher.add('12345'), '12345');
});
