import t from 'tap';
import { createSharedReads } from '../src/shared-reads.ts';

t.test('a read is shared by those who asked before it began, and by no others', async (t) => {
  const reads = createSharedReads<number>();
  let value = 1;
  let begun = 0;
  const gates: PromiseWithResolvers<void>[] = [];
  const read = async () => {
    begun += 1;
    const seen = value;
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return seen;
  };
  const first = reads.of('a', read);
  value = 2;
  const later = [reads.of('a', read), reads.of('a', read)];
  const other = reads.of('b', read);
  t.equal(begun, 2, 'one for each key');
  gates[0]?.resolve();
  t.equal(await first, 1);
  value = 3;
  const last = reads.of('a', read);
  t.equal(begun, 3, 'one for both that came meanwhile');
  for (let i = 1; i < 4; i += 1) {
    while (gates[i] === undefined) await new Promise((resolve) => setImmediate(resolve));
    gates[i]?.resolve();
  }
  t.same(await Promise.all(later), [2, 2]);
  t.same([await other, await last], [2, 3]);
});

t.test('a failed read is told to all who share it, and the next one begins all the same', async (t) => {
  const reads = createSharedReads<number>();
  const failed = reads.of('a', () => Promise.reject(new Error('away')));
  const next = reads.of('a', async () => 1);
  await t.rejects(failed, { message: 'away' });
  t.equal(await next, 1);
  t.equal(await reads.of('a', async () => 2), 2);
});
