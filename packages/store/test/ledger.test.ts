import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  acceptKeyedRun,
  acceptRuns,
  cancelRuns,
  finishRuns,
  handBackRun,
  listRuns,
  publishWorkflow,
  readEvents,
  readRun,
  readSteps,
  sendSignal,
  suspendRun,
  retryRuns,
  writeChunks,
  type Chunk,
  type RunEnd,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql } = await createTestDatabase(t);
const { accept, claim, newRun, takeDue, worker, principalId } = await ledgerFixture(sql);

const finish = async (owner: number, ends: RunEnd[]) =>
  (
    await finishRuns(
      sql,
      ends.map((end) => ({ ...end, owner })),
    )
  ).answers;
const write = (owner: number, chunks: Omit<Chunk, 'owner'>[]) =>
  writeChunks(
    sql,
    chunks.map((chunk) => ({ ...chunk, owner })),
  );
const stepEvent = (seq: number, name: string) => ({
  seq,
  type: 'step.completed',
  at: new Date().toISOString(),
  data: { name, effect: 'pure', attempt: 1, startedAt: new Date().toISOString(), output: { seq } },
});
const endOf = (runId: string, overrides: Partial<RunEnd> = {}): RunEnd => ({
  runId,
  owner: 0,
  chunk: 0,
  state: 'completed',
  lastSeq: 3,
  events: '[]',
  output: '{"ok":true}',
  error: null,
  ...overrides,
});

t.test('a batch of runs is accepted and read back as it was given', async (t) => {
  const runs = [newRun(), newRun({ tags: [] })];
  const accepted = await acceptRuns(sql, runs);
  t.same(
    accepted.map((a) => a.id),
    runs.map((r) => r.id),
    'answers in the order given',
  );
  const run = await readRun(sql, runs[0]?.id ?? '');
  t.match(run, {
    state: 'queued',
    workflow: 'sample',
    attempt: 1,
    tags: ['a, "b"', 'ü'],
    input: { text: '\u0000 NUL' },
  });
});

t.test('of two claims at once one gets the run', async (t) => {
  const id = await accept();
  const [a, b] = [await worker(), await worker()];
  const claims = await Promise.all([claim(a, [id]), claim(b, [id])]);
  t.equal(claims.flat().length, 1);
  t.match(claims.flat()[0], { id, workflow: 'sample', chunk: 0, resumed: false, events: [] });
});

/** Resolves once a statement on this database waits for a lock. */
async function somebodyWaits(): Promise<void> {
  const waiting = () =>
    sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await waiting()).length === 0);
}

t.test('a claim that waited while a signal came in has what it counts as seen', async (t) => {
  const id = await accept();
  const me = await worker();
  let claiming: ReturnType<typeof claim> | undefined;
  await sql.begin(async (other) => {
    await sendSignal(other, { runId: id, name: 'go', data: 1, principalId });
    claiming = claim(me, [id]);
    await somebodyWaits();
  });
  const [claimed] = (await claiming) ?? [];
  t.match(claimed, { id, inbox: { seen: 1, entries: [{ name: 'go', data: 1 }] } });
  const waiting = { runId: id, owner: me, chunk: 1, events: '[]', inbox: claimed?.inbox.seen ?? -1, wakeAt: null };
  await sendSignal(sql, { runId: id, name: 'go', data: 2, principalId });
  t.equal(await suspendRun(sql, waiting), 'news', 'it must not sleep over the next one');
});

t.test('a run that was taken away before its past could be read is not begun anew', async (t) => {
  const id = await accept();
  const first = await worker();
  await claim(first, [id]);
  await write(first, [{ runId: id, chunk: 1, events: JSON.stringify([stepEvent(3, 'done')]) }]);
  await handBackRun(sql, first, id);
  const me = await worker();
  let claiming: ReturnType<typeof claim> | undefined;
  await sql.begin(async (other) => {
    await other`LOCK TABLE run_journal IN ACCESS EXCLUSIVE MODE`;
    claiming = claim(me, [id]);
    await somebodyWaits(); // claimed, and about to read what was recorded
    await other`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  });
  t.same(await claiming, []);
  const [again] = await claim(me, [id]);
  t.match(again, { id, chunk: 1, resumed: true, events: [{ data: { name: 'done' } }] });
});

t.test('a worker that lost its run writes nothing: neither steps nor an end', async (t) => {
  const id = await accept();
  const [first, second] = [await worker(), await worker()];
  await claim(first, [id]);
  await handBackRun(sql, first, id);
  const [claimed] = await claim(second, [id]);
  t.equal(claimed?.resumed, true, 'the second owner knows it goes on with something begun');

  t.same(await write(first, [{ runId: id, chunk: 1, events: '[]' }]), [false]);
  t.same(await finish(first, [endOf(id)]), ['lost']);
  t.same(await write(second, [{ runId: id, chunk: 1, events: JSON.stringify([stepEvent(3, 'one')]) }]), [true]);
  t.equal((await readRun(sql, id))?.state, 'running');
});

t.test('a write that had begun while another claimed the run is fenced too', async (t) => {
  const id = await accept();
  const [first, second] = [await worker(), await worker()];
  await claim(first, [id]);
  const answers: boolean[][] = [];
  let writing: Promise<unknown> | undefined;
  await sql.begin(async (other) => {
    await handBackRun(other, first, id);
    t.match(await claim(second, [id], other), [{ id, chunk: 0 }]);
    writing = write(first, [{ runId: id, chunk: 1, events: '[]' }]).then((written) => answers.push(written));
    // It waits for the row, or saw it as it was before.
    const waiting = () =>
      sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    while (answers.length === 0 && (await waiting()).length === 0);
  });
  await writing;
  t.same(answers, [[false]]);
  t.same(await sql`SELECT chunk FROM run_journal WHERE run_id = ${id}`, []);
});

t.test('a write whose answer was lost is recognised, a chunk is never written twice', async (t) => {
  const id = await accept();
  const me = await worker();
  await claim(me, [id]);
  const chunk = { runId: id, chunk: 1, events: JSON.stringify([stepEvent(3, 'one')]) };
  t.same(await write(me, [chunk]), [true]);
  t.same(await write(me, [chunk]), [true], 'again, as after a connection that broke before the answer');
  const [count] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM run_journal WHERE run_id = ${id}`;
  t.equal(count?.n, 1);
  t.same(await finish(me, [endOf(id, { chunk: 1, lastSeq: 4 })]), ['finished']);
  t.same(await finish(me, [endOf(id, { chunk: 1, lastSeq: 4 })]), ['finished']);
});

t.test('neighbours in one batch do not disturb each other', async (t) => {
  const me = await worker();
  const ids = [await accept(), await accept(), await accept()];
  await claim(me, ids);
  await handBackRun(sql, me, ids[1] ?? '');
  const written = await write(
    me,
    ids.map((runId) => ({ runId, chunk: 1, events: '[]' })),
  );
  t.same(written, [true, false, true]);
});

t.test('events number a run without gaps, from accepted to the terminal one', async (t) => {
  const id = await accept();
  const me = await worker();
  await claim(me, [id]);
  await write(me, [{ runId: id, chunk: 1, events: JSON.stringify([stepEvent(3, 'one')]) }]);
  const rest = JSON.stringify([stepEvent(4, 'two')]);
  await finish(me, [endOf(id, { chunk: 1, lastSeq: 5, events: rest })]);
  const events = await readEvents(sql, id);
  t.same(
    events.map((e) => e.seq),
    [1, 2, 3, 4, 5],
  );
  t.same(
    events.map((e) => e.type),
    ['run.accepted', 'run.started', 'step.completed', 'step.completed', 'run.completed'],
  );
  t.match(await readSteps(sql, id), [
    { name: 'one', state: 'completed', output: { seq: 3 } },
    { name: 'two', state: 'completed', output: { seq: 4 } },
  ]);
});

t.test('a failed run is retried as a new attempt that keeps what was finished', async (t) => {
  const id = await accept();
  const me = await worker();
  await claim(me, [id]);
  const events = JSON.stringify([stepEvent(3, 'one')]);
  const error = JSON.stringify({ code: 'step_error', message: 'no', stack: 'secret places' });
  await finish(me, [endOf(id, { state: 'failed', lastSeq: 4, events, output: null, error })]);
  t.same(await retryRuns(sql, [id], principalId), [id]);
  t.same(await retryRuns(sql, [id], principalId), [], 'a second retry finds it live');
  const due = await takeDue();
  const delivery = due.find(({ runId }) => runId === id);
  t.match(delivery, { queue: 'workflows' });
  t.not(delivery?.dispatch, 0, 'the first job id is used up');

  const [claimed] = await claim(me, [id]);
  t.match(claimed, { attempt: 2, resumed: false });
  t.same(
    claimed?.events.map((e) => e.type),
    ['step.completed', 'run.retried'],
  );
  await finish(me, [endOf(id, { chunk: claimed?.chunk ?? 0, lastSeq: 7 })]);
  const all = await readEvents(sql, id);
  t.same(
    all.map((e) => e.seq),
    [1, 2, 3, 4, 5, 6, 7],
  );
  t.same(
    all.map((e) => e.type),
    ['run.accepted', 'run.started', 'step.completed', 'run.failed', 'run.retried', 'run.started', 'run.completed'],
  );
  t.notMatch(JSON.stringify(all), 'secret places', 'stacks are not events');
  t.match(await readRun(sql, id), { state: 'completed', attempt: 2, error: null });
});

t.test('a cancel committed before the end wins, a finished run stays finished', async (t) => {
  const queued = await accept();
  t.match(await cancelRuns(sql, [queued]), { ended: [{ state: 'cancelled', seq: 2 }], requested: [] });
  t.same(
    (await readEvents(sql, queued)).map((e) => e.type),
    ['run.accepted', 'run.cancelled'],
  );
  t.same(await claim(await worker(), [queued]), []);

  const running = await accept();
  const me = await worker();
  await claim(me, [running]);
  t.same(await cancelRuns(sql, [running]), { ended: [], woken: [], requested: [running] });
  t.same(await finish(me, [endOf(running)]), ['cancel-requested']);
  t.same(await finish(me, [endOf(running, { state: 'cancelled', output: null })]), ['finished']);
  t.equal((await readRun(sql, running))?.state, 'cancelled');
  t.same(await cancelRuns(sql, [running]), { ended: [], woken: [], requested: [] });
});

t.test('an idempotency key makes one run of two requests at once, and refuses another body', async (t) => {
  const key = { route: 'POST /x', key: 'k1', bodyHash: 'h1' };
  const answers = await Promise.all([acceptKeyedRun(sql, newRun(), key), acceptKeyedRun(sql, newRun(), key)]);
  const ids = answers.map((a) => ('run' in a ? a.run.id : 'conflict'));
  t.equal(ids[0], ids[1], 'both answers name the same run');
  t.same(answers.filter((a) => 'replayed' in a && a.replayed).length, 1);
  const [live] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM run_live WHERE id = ANY(${ids}::uuid[])`;
  t.equal(live?.n, 1);
  t.same(await acceptKeyedRun(sql, newRun(), { ...key, bodyHash: 'h2' }), { conflict: true });
  const other = await acceptKeyedRun(sql, newRun({ principalId: '00000000-0000-7000-8000-000000000001' }), key);
  t.match(other, { replayed: false }, "another principal's key is another key");
});

t.test('lists are newest first, filtered, and page by id', async (t) => {
  const mine = '00000000-0000-7000-8000-00000000000a';
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.push(await accept({ principalId: mine, tags: [`n${n}`] }));
  const page = await listRuns(sql, { principalId: mine, limit: 3 });
  t.same(
    page.map((r) => r.id),
    ids.toReversed().slice(0, 3),
  );
  const next = await listRuns(sql, { principalId: mine, limit: 3, before: page.at(-1)?.id });
  t.same(
    next.map((r) => r.id),
    ids.toReversed().slice(3),
  );
  t.same(
    (await listRuns(sql, { principalId: mine, tag: 'n1', limit: 3 })).map((r) => r.id),
    [ids[1]],
  );
  t.same(await listRuns(sql, { principalId: mine, state: 'completed', limit: 3 }), []);
});

t.test('another schema under the same name and version is refused', async (t) => {
  const entry = { name: 'strict', version: '1', description: '', queue: 'workflows' as const, input: {}, output: {} };
  await publishWorkflow(sql, entry);
  await publishWorkflow(sql, { ...entry, description: 'other words are fine' });
  await t.rejects(publishWorkflow(sql, { ...entry, input: { type: 'object' } }), { code: 'conflict' });
});

t.test('an end is told only to whoever wrote it: a fenced worker hears that the run was lost', async (t) => {
  const id = await accept();
  const [first, second] = [await worker(), await worker()];
  await claim(first, [id]);
  await handBackRun(sql, first, id);
  await claim(second, [id]);
  t.same(await finish(second, [endOf(id, { lastSeq: 4 })]), ['finished']);
  t.same(await finish(first, [endOf(id, { lastSeq: 3, state: 'failed', output: null })]), ['lost']);
});
