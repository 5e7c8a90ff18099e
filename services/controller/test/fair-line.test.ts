import type { DueRun } from '@flowstate/store';
import t from 'tap';
import { createFairLine } from '../src/fair-line.ts';

let count = 0;
const dueRun = (principalId: string, priority = 5): DueRun => {
  count += 1;
  const id = String(count).padStart(6, '0');
  return { id, principalId, workflowId: 1, priority, dueAt: new Date(count), concurrencyKey: null };
};
const runsOf = (principalId: string, runs: number, priority?: number) =>
  Array.from({ length: runs }, () => dueRun(principalId, priority));
const free = { take: () => true, weight: () => 1 };
const who = (runs: DueRun[]) => runs.map(({ principalId }) => principalId).join('');

t.test('one run each in turn, however long the lines are', (t) => {
  const runs = [...runsOf('a', 1_000), ...runsOf('b', 2), ...runsOf('c', 3)];
  t.equal(who(createFairLine().pick(runs, 10, free)), 'abcabcacaa');
  t.end();
});

t.test('picking one at a time is as fair as picking many', (t) => {
  const line = createFairLine();
  const [a, b] = [runsOf('a', 50), runsOf('b', 50)];
  let order = '';
  for (let n = 0; n < 20; n++) {
    const [picked] = line.pick([...a, ...b], 1, free);
    order += picked?.principalId;
    (picked?.principalId === 'a' ? a : b).shift();
  }
  t.equal(order, 'ab'.repeat(10));
  t.end();
});

t.test('weights are shares', (t) => {
  const weight = (id: string) => (id === 'a' ? 3 : 1);
  const picked = createFairLine().pick([...runsOf('a', 100), ...runsOf('b', 100)], 40, { ...free, weight });
  t.equal(picked.filter(({ principalId }) => principalId === 'a').length, 30);
  t.equal(who(picked.slice(0, 8)).replaceAll('a', '').length, 2, 'evenly, not one block after the other');
  t.end();
});

t.test('priority orders the runs of one principal, and principals that are equally far', (t) => {
  const [late, early, urgent] = [dueRun('a', 9), dueRun('a', 9), dueRun('a', 0)];
  t.same(
    createFairLine()
      .pick([late, early, urgent], 3, free)
      .map(({ id }) => id),
    [urgent.id, late.id, early.id],
    'then who was due first',
  );
  t.equal(who(createFairLine().pick([dueRun('a', 9), dueRun('b', 0)], 2, free)), 'ba');
  t.end();
});

t.test('who was away starts level: nothing is saved up', (t) => {
  const line = createFairLine();
  line.pick(runsOf('a', 100), 100, free);
  t.equal(who(line.pick([...runsOf('a', 10), ...runsOf('b', 10)], 6, free)).replaceAll('a', '').length, 3);
  t.end();
});

t.test('a run without a place is passed over, and costs its principal nothing', (t) => {
  const [held, behind] = [dueRun('a', 0), dueRun('a', 5)];
  const caps = { ...free, take: (run: DueRun) => run !== held };
  t.same(createFairLine().pick([held, behind], 10, caps), [behind]);
  t.end();
});
