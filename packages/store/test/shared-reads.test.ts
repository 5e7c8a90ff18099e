import t from 'tap';
import { createSharedReads } from '../src/shared-reads.ts';

t.test('a read is shared by those who asked before it began, and by no others', async (t) => {
  const reads = createSharedReads<number>();
  let value = 1;
  const gates: PromiseWithResolvers<void>[] = [];
  const read = async () => {
    const seen = value;
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return seen;
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  /** So many reads have begun; a turn or two is all they need. */
  const begun = async (reads: number) => {
    for (let left = 100; gates.length < reads && left > 0; left--) await turn();
    t.equal(gates.length, reads);
  };
  const first = [reads.of('a', read), reads.of('a', read)];
  value = 2;
  const other = reads.of('b', read);
  t.equal(gates.length, 0, 'none before the turn ends: more may ask');
  await begun(2);
  value = 3;
  const later = [reads.of('a', read), reads.of('a', read)];
  await turn();
  t.equal(gates.length, 2, 'one for each key; who comes too late waits for the next');
  gates[0]?.resolve();
  t.same(await Promise.all(first), [2, 2]);
  await begun(3);
  value = 4;
  const last = reads.of('a', read);
  gates[2]?.resolve();
  t.same(await Promise.all(later), [3, 3], 'not what was true when the read they did not join began');
  await begun(4);
  for (const gate of gates) gate.resolve();
  t.same([await other, await last], [2, 4]);
});

t.test('a failed read is told to all who share it, and the next one begins all the same', async (t) => {
  const reads = createSharedReads<number>();
  const away = Promise.withResolvers<number>();
  const began = Promise.withResolvers<void>();
  const read = () => {
    began.resolve();
    return away.promise;
  };
  const failed = [reads.of('a', read), reads.of('a', read)].map((each) => t.rejects(each, { message: 'away' }));
  await began.promise;
  const next = reads.of('a', async () => 1);
  away.reject(new Error('away'));
  await Promise.all(failed);
  t.equal(await next, 1);
  t.equal(await reads.of('a', async () => 2), 2);
});
