import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  cancelExpiredRuns,
  cancelRuns,
  finishRuns,
  readEvents,
  readRun,
  writeChunks,
  type RunEnd,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql } = await createTestDatabase(t);
const { accept, claim, worker } = await ledgerFixture(sql);

/** Lets the run's time pass without waiting for it. */
const expire = (...ids: string[]) =>
  sql`UPDATE run_live SET expires_at = now() - interval '1 second' WHERE id = ANY(${ids}::uuid[])`;
const endOf = (runId: string, owner: number): RunEnd => ({
  runId,
  owner,
  chunk: 0,
  state: 'cancelled',
  lastSeq: 3,
  events: '[]',
  output: null,
  error: null,
});

t.test('runs that nobody owns end at once, with the reason; others keep their time', async (t) => {
  const ids = [await accept({ ttlMs: 60_000 }), await accept({ ttlMs: 60_000, delayMs: 5_000 })];
  const [young, timeless] = [await accept({ ttlMs: 60_000 }), await accept()];
  await expire(...ids);
  const { ended, requested, woken } = await cancelExpiredRuns(sql, 10);
  t.match(new Set(ended.map(({ delivery }) => delivery.runId)), new Set(ids));
  t.same([requested, woken], [[], []]);
  for (const id of ids) {
    t.match(await readRun(sql, id), { state: 'cancelled', error: { code: 'expired', message: /time to live/ } });
    t.match((await readEvents(sql, id)).at(-1), {
      seq: 2,
      type: 'run.cancelled',
      data: { error: { code: 'expired' } },
    });
  }
  for (const id of [young, timeless]) t.match(await readRun(sql, id), { state: 'queued' });
  t.match(await cancelExpiredRuns(sql, 10), { ended: [], requested: [], woken: [] });
});

t.test('a waiting run ends too; a parked one stays for whoever must settle it', async (t) => {
  const [waiting, parked] = [await accept({ ttlMs: 60_000 }), await accept({ ttlMs: 60_000 })];
  await sql`UPDATE run_live SET state = 'waiting' WHERE id = ${waiting}`;
  await sql`UPDATE run_live SET state = 'parked' WHERE id = ${parked}`;
  await expire(waiting, parked);
  t.match((await cancelExpiredRuns(sql, 10)).ended, [{ delivery: { runId: waiting } }]);
  t.match(await readRun(sql, parked), { state: 'parked' });
  await sql`UPDATE run_live SET state = 'queued' WHERE id = ${parked}`;
  t.match((await cancelExpiredRuns(sql, 10)).ended, [{ delivery: { runId: parked } }], 'settled, and late');
});

t.test('the owner of a running one is told once, and its end carries the reason', async (t) => {
  const id = await accept({ ttlMs: 60_000 });
  const me = await worker();
  await claim(me, [id]);
  await expire(id);
  t.same((await cancelExpiredRuns(sql, 10)).requested, [id]);
  t.same((await cancelExpiredRuns(sql, 10)).requested, [], 'not again and again');
  t.same((await finishRuns(sql, [{ ...endOf(id, me), state: 'completed', output: '1' }])).answers, [
    'cancel-requested',
  ]);
  t.same((await finishRuns(sql, [endOf(id, me)])).answers, ['expired']);
  t.match(await readRun(sql, id), { state: 'cancelled', output: null, error: { code: 'expired' } });

  const asked = await accept({ ttlMs: 60_000 });
  await claim(me, [asked]);
  await cancelRuns(sql, [asked]);
  t.same((await finishRuns(sql, [endOf(asked, me)])).answers, ['finished'], 'somebody else wanted this one cancelled');
  t.match(await readRun(sql, asked), { state: 'cancelled', error: null });
});

t.test('what finished in time stays as it ended, however late that is written', async (t) => {
  const id = await accept({ ttlMs: 60_000 });
  const me = await worker();
  await claim(me, [id]);
  await expire(id);
  t.same((await finishRuns(sql, [{ ...endOf(id, me), state: 'completed', output: '1' }])).answers, ['finished']);
  t.match(await readRun(sql, id), { state: 'completed', error: null });
});

t.test('one whose owner died after it was told ends all the same', async (t) => {
  const id = await accept({ ttlMs: 60_000 });
  await claim(await worker(), [id]);
  await expire(id);
  await cancelExpiredRuns(sql, 10);
  await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  t.equal((await cancelExpiredRuns(sql, 10)).ended.length, 1);
});

t.test('its children and theirs are cancelled with it; a parent that waits is woken by an expired child', async (t) => {
  const parent = await accept({ ttlMs: 60_000 });
  const me = await worker();
  await claim(me, [parent]);
  const child = await accept({ parentId: parent });
  const running = await accept({ parentId: parent });
  const grandchild = await accept({ parentId: child });
  await claim(me, [running]);
  await expire(parent);
  const { ended, requested } = await cancelExpiredRuns(sql, 10);
  t.same(ended.map(({ delivery }) => delivery.runId).toSorted(), [child, grandchild].toSorted());
  t.same(requested.toSorted(), [parent, running].toSorted());
  t.match(await readRun(sql, child), { state: 'cancelled', error: null }, 'like those of a cancelled run');

  const waits = await accept();
  const short = await accept({ parentId: waits, ttlMs: 60_000 });
  await sql`UPDATE run_live SET state = 'waiting', due_at = NULL WHERE id = ${waits}`;
  await expire(short);
  const { woken } = await cancelExpiredRuns(sql, 10);
  t.match(woken, [{ runId: waits, dispatch: 1 }]);
  t.match(await readRun(sql, waits), { state: 'queued' });
});

t.test('an unsafe effect in doubt is settled by a person, not by a clock: its next owner parks the run', async (t) => {
  const event = (seq: number, type: string, name: string) => ({
    seq,
    type,
    at: new Date().toISOString(),
    data: { name, effect: 'unsafe' },
  });
  const left = async (events: unknown[]) => {
    const id = await accept({ ttlMs: 60_000 });
    const me = await worker();
    await claim(me, [id]);
    await writeChunks(sql, [{ runId: id, owner: me, chunk: 1, events: JSON.stringify(events) }]);
    await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
    await expire(id);
    return id;
  };
  const known = await left([event(3, 'step.intended', 'pay'), event(4, 'step.completed', 'pay')]);
  const doubtful = await left([event(3, 'step.intended', 'pay'), event(4, 'step.completed', 'other')]);
  t.match(await cancelExpiredRuns(sql, 10), { ended: [{ delivery: { runId: known } }], requested: [doubtful] });
  t.match(await cancelExpiredRuns(sql, 10), { ended: [], requested: [] }, 'asked once');
  const [claimed] = await claim(await worker(), [doubtful]);
  t.match(claimed, { id: doubtful, cancelled: true });
});
