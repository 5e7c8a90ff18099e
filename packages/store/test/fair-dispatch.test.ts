import { randomUUID } from 'node:crypto';
import { toLimit } from '@flowstate/contracts';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  countLiveRuns,
  createSql,
  deleteLimit,
  dueGroups,
  dueRuns,
  forkRun,
  handOver,
  listLimits,
  publishQueueState,
  putLimit,
  readQueueStates,
  runsInFlight,
  sendSignal,
  setQueuePaused,
  suspendRun,
  wakeDueRuns,
  writeChunks,
  type Db,
  type Sql,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, claim, newRun, takeDue, worker } = await ledgerFixture(sql);
const { workflowId } = newRun();
const queue = 'workflows' as const;

/** Adds due (or delayed) rows by the ten thousand: what matters is the index they stand in. */
const addRows = (principalId: string, count: number, { priority = 5, delay = '-1 second' } = {}) => sql`
  INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, ready_at, due_at)
  SELECT gen_random_uuid(), ${queue}, ${priority}, ${workflowId}, ${principalId}, now(), now() + ${delay}::interval
  FROM generate_series(1, ${count})`;

t.test('a long line costs as many index probes as it has groups, whatever its length', async (t) => {
  const ledger = ledgerPool(t);
  const [heavy, delayed, light] = [randomUUID(), randomUUID(), randomUUID()];
  await addRows(heavy, 100_000);
  await addRows(delayed, 20_000, { delay: '1 hour' });
  await addRows(light, 3, { priority: 9 });
  await sql`ANALYZE run_live`;

  const { answer: groups, read } = await rowsRead(ledger, (db) => dueGroups(db, queue));
  t.same(
    groups.map(({ principalId, priority }) => ({ principalId, priority })),
    [
      { principalId: heavy, priority: 5 },
      { principalId: light, priority: 9 },
    ].toSorted((a, b) => (a.principalId < b.principalId ? -1 : 1)),
    'what is due only later is not due',
  );
  t.same(read, { seq: 0, index: 3 }, 'one entry of each of the three groups');
  const reading = groups.map((group) => ({ ...group, read: 50 }));
  const runs = await rowsRead(ledger, (db) => dueRuns(db, queue, reading));
  t.equal(runs.answer.length, 53);
  t.same(runs.read, { seq: 0, index: 53 }, '50 of the long line, 3 of the short one');
  await sql`TRUNCATE run_live`;
});

t.test('handing over reads no more than it hands over, though it was planned when nothing stood in line', async (t) => {
  const ledger = ledgerPool(t);
  await sql`TRUNCATE run_live`;
  await handOver(ledger, [{ id: randomUUID(), capped: false }]);
  await addRows(randomUUID(), 2_000);
  const runs = await sql<{ id: string }[]>`SELECT id FROM run_live LIMIT 100`;
  const { answer, read } = await rowsRead(ledger, (db) =>
    handOver(
      db,
      runs.map(({ id }) => ({ id, capped: false })),
    ),
  );
  t.equal(answer.length, 100);
  t.same(read, { seq: 0, index: 0 }, 'by primary key alone, not through the line');
  await sql`TRUNCATE run_live`;
});

t.test("the ledger's pool plans without sequential scans, bitmaps and hashes", async (t) => {
  const ledger = ledgerPool(t);
  const names = ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan'];
  const set = await ledger<{ setting: string }[]>`SELECT setting FROM pg_settings WHERE name = ANY(${names})`;
  t.same(
    set.map(({ setting }) => setting),
    ['off', 'off', 'off', 'off'],
  );
});

t.test('what is handed over is handed over once, in the order given, and counted while it is capped', async (t) => {
  const [a, b, c] = [await accept(), await accept(), await accept()];
  const twice = [a, b].map((id) => ({ id, capped: id === a }));
  const both = await Promise.all([handOver(sql, twice), handOver(sql, twice)]);
  t.equal(both.flat().length, 2, 'two feeders at once: each run once');
  t.same(
    (await handOver(sql, [{ id: c, capped: true }])).map(({ runId }) => runId),
    [c],
  );
  t.equal(
    (await runsInFlight(sql)).reduce((sum, { runs }) => sum + runs, 0),
    2,
    'those that are capped',
  );
  await sql`TRUNCATE run_live`;
});

t.test('a run that waits holds no place, and stands in line when it is woken', async (t) => {
  const places = async () => (await runsInFlight(sql)).reduce((sum, { runs }) => sum + runs, 0);
  const me = await worker();
  const ids = [await accept({ capped: true }), await accept({ capped: true })];
  t.same(await claim(me, ids), [], 'a stray job does not go round the cap');
  await handOver(
    sql,
    ids.map((id) => ({ id, capped: true })),
  );
  const [byTimer, bySignal] = ids as [string, string];
  t.equal((await claim(me, ids)).length, 2);
  t.equal(await places(), 2);
  await suspendRun(sql, { owner: me, runId: byTimer, chunk: 1, events: '[]', inbox: 0, wakeAt: Date.now() - 1 });
  await suspendRun(sql, { owner: me, runId: bySignal, chunk: 1, events: '[]', inbox: 0, wakeAt: null });
  t.equal(await places(), 0);
  t.same(await takeDue(), [], 'nor is it due');
  t.same(await sendSignal(sql, { runId: bySignal, name: 'go', data: null, principalId: randomUUID() }), {
    delivery: null,
  });
  t.equal(await wakeDueRuns(sql, 10), 1);
  t.same((await takeDue()).map(({ runId }) => runId).toSorted(), ids.toSorted());
});

t.test('a woken run goes straight to its worker unless others stand in line', async (t) => {
  const wake = async () => {
    const me = await worker();
    const runId = await accept({ direct: true });
    await claim(me, [runId]);
    await suspendRun(sql, { owner: me, runId, chunk: 1, events: '[]', inbox: 0, wakeAt: null });
    return sendSignal(sql, { runId, name: 'go', data: null, principalId: randomUUID() });
  };
  const window = { queue, size: 10, round: 0 };
  await publishQueueState(sql, { ...window, open: true });
  t.match(await wake(), { delivery: { dispatch: 1 } });
  await publishQueueState(sql, { ...window, open: false });
  t.same(await wake(), { delivery: null });
  await publishQueueState(sql, { ...window, open: true });
  await setQueuePaused(sql, queue, true);
  t.same(await wake(), { delivery: null }, 'nor while the queue is paused');
  await setQueuePaused(sql, queue, false);
  t.match(await readQueueStates(sql), [
    { queue, paused: false, open: true, fed: true },
    { queue: 'documents', fed: false },
  ]);
});

t.test('a fork stands in line whatever the caps were', async (t) => {
  const me = await worker();
  const runId = await accept({ direct: true });
  await claim(me, [runId]);
  const step = { seq: 3, type: 'step.completed', at: new Date().toISOString(), data: { name: 'one' } };
  await writeChunks(sql, [{ runId, owner: me, chunk: 1, events: JSON.stringify([step]) }]);
  const forked = newRun();
  await forkRun(sql, { ...forked, runId, fromStep: 'one' });
  t.same(await claim(me, [forked.id]), [], 'not for a stray job');
  t.ok((await takeDue()).some((delivery) => delivery.runId === forked.id));
});

t.test('live runs are counted by queue and principal', async (t) => {
  await sql`TRUNCATE run_live`;
  const principalId = randomUUID();
  await addRows(principalId, 3);
  await addRows(principalId, 2, { delay: '1 hour' });
  await accept({ principalId, queue: 'documents', direct: true });
  const { counts } = await countLiveRuns(ledgerPool(t));
  t.match(
    counts.toSorted((x, y) => x.live - y.live),
    [
      { queue: 'documents', principalId, workflowId, live: 1, due: 0 },
      { queue, principalId, workflowId, live: 5, due: 3 },
    ],
  );
  t.ok(counts.every(({ oldestSeconds }) => typeof oldestSeconds === 'number'));
});

t.test('limits are set anew, listed and taken back', async (t) => {
  const key = { scope: 'role', subject: 'agent' } as const;
  const limit = toLimit({ ...key, maxConcurrent: 2, weight: 3, maxSearchLimit: 5, minSearchThreshold: -0.5 });
  await putLimit(sql, { ...limit, maxBacklog: 7 });
  await putLimit(sql, limit);
  t.same([...(await listLimits(sql))], [limit]);
  t.equal(await deleteLimit(sql, key), true);
  t.equal(await deleteLimit(sql, key), false);
});

/** With the planner's settings of the services. */
function ledgerPool(t: { teardown: (end: () => Promise<void>) => void }) {
  const ledger = createSql(url, { name: 'ledger', max: 1, ledger: true });
  t.teardown(() => ledger.end());
  return ledger;
}

/** Rows a statement read, as the server counted them. */
function rowsRead<T>(ledger: Sql, statement: (db: Db) => Promise<T>) {
  return ledger.begin(async (tx) => {
    const before = await counters(tx);
    const answer = await statement(tx);
    const after = await counters(tx);
    return { answer, read: { seq: after.seq - before.seq, index: after.index - before.index } };
  });
}

async function counters(db: Db): Promise<{ seq: number; index: number }> {
  const [row] = await db<{ seq: number; index: number }[]>`
    SELECT pg_stat_get_xact_tuples_returned('run_live'::regclass)::int AS seq,
           pg_stat_get_xact_tuples_returned('run_live_due'::regclass)::int AS index`;
  return row ?? { seq: NaN, index: NaN };
}
