import { lowestId } from '@flowstate/contracts';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  beat,
  createSql,
  lockIncarnation,
  reclaimFromDead,
  reclaimStrays,
  returnToFeeder,
  undeliveredRuns,
  undoClaims,
  writeChunks,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, claim, takeDue, worker } = await ledgerFixture(sql);

// Just after a start of Postgres nobody is declared dead.
await sql`SELECT pg_sleep_until(pg_postmaster_start_time() + interval '2.1 seconds')`;

/** Makes a heartbeat look old without waiting for it to grow old. */
const age = (id: number, seconds: number) =>
  sql`UPDATE workers SET heartbeat_at = now() - ${seconds} * interval '1 second' WHERE id = ${id}`;

t.test('a silent worker whose session stands keeps its runs; once the session is gone it loses them', async (t) => {
  const id = await accept();
  const me = await worker();
  const session = createSql(url, { name: 'session', max: 1, keepAlive: true });
  await lockIncarnation(session, me);
  await lockIncarnation(session, me); // again: must not stack up
  await claim(me, [id]);
  await age(me, 5);
  t.same(await reclaimFromDead(sql), { workers: [], runs: [], parked: [] }, 'a pause of seconds is not death');

  await session.end();
  await age(me, 5);
  const { workers, runs } = await reclaimFromDead(sql);
  t.same(workers, [me]);
  t.match(runs, [{ runId: id, dispatch: 1 }]);
  t.match(await beat(sql, me, [id]), { alive: false, cancelled: [], inboxes: [] }, 'it hears of its own death');
  t.same(await writeChunks(sql, [{ runId: id, owner: me, chunk: 1, events: '[]' }]), [false]);
  const [live] = await sql`SELECT state, owner, crashes FROM run_live WHERE id = ${id}`;
  t.match(live, { state: 'queued', owner: null, crashes: 1 });
});

t.test('a worker silent for long is dead even with its session standing', async (t) => {
  const me = await worker();
  const session = createSql(url, { name: 'session', max: 1, keepAlive: true });
  t.teardown(() => session.end());
  await lockIncarnation(session, me);
  await age(me, 60);
  t.same((await reclaimFromDead(sql)).workers, [me]);
});

t.test('a fresh heartbeat protects a worker whose session is being renewed', async (t) => {
  const me = await worker();
  // In one transaction no time passes, however long it takes.
  await sql.begin(async (tx) => {
    await beat(tx, me, []);
    t.same((await reclaimFromDead(tx)).workers, []);
  });
});

t.test('runs without a job are found in pages; delayed, owned and undelivered ones are not', async (t) => {
  await sql`TRUNCATE run_live`;
  const direct = { direct: true };
  const ready = [await accept(direct), await accept(direct), await accept(direct)].toSorted();
  await accept({ delayMs: 60_000 });
  await accept();
  const owned = await accept(direct);
  await claim(await worker(), [owned]);
  await sql`UPDATE run_live SET ready_at = ready_at - interval '5 seconds' WHERE ready_at < now()`;
  const first = await undeliveredRuns(sql, { after: lowestId, limit: 2 });
  const rest = await undeliveredRuns(sql, { after: first.at(-1)?.runId ?? '', limit: 2 });
  t.same(
    [...first, ...rest].map((d) => d.runId),
    ready,
  );
  const [missing = '', spent = ''] = ready;
  t.equal(await returnToFeeder(sql, { missing: [missing], spent: [spent, owned] }), 2, 'the owned one stays');
  const fed = await takeDue();
  const dispatchOf = (id: string) => fed.find(({ runId }) => runId === id)?.dispatch;
  t.equal(fed.length, 3, 'the undelivered one too, the delayed one not');
  t.equal(dispatchOf(missing), 0, 'its job id was never used');
  t.equal(dispatchOf(spent), 1);
});

t.test('a run that outlives three workers is parked; a finished step in between clears it', async (t) => {
  const [poison, innocent] = [await accept(), await accept()];
  for (let death = 1; death <= 3; death++) {
    const me = await worker();
    await claim(me, [poison, innocent]);
    if (death === 2) await writeChunks(sql, [{ runId: innocent, owner: me, chunk: 1, events: '[]', progress: true }]);
    await age(me, 60);
    const { runs, parked } = await reclaimFromDead(sql);
    t.same(parked, death === 3 ? [poison] : []);
    t.equal(runs.find(({ runId }) => runId === innocent)?.suspect, true);
  }
  const [row] = await sql`SELECT state FROM run_live WHERE id = ${poison}`;
  t.match(row, { state: 'parked' });
});

t.test('a worker declared dead claims nothing; what it had claimed in that moment is taken from it', async (t) => {
  const [late, stray] = [await accept(), await accept()];
  const me = await worker();
  await claim(me, [stray]);
  await sql`UPDATE workers SET ended_at = now() - interval '5 seconds' WHERE id = ${me}`;
  t.same(await claim(me, [late]), []);
  t.equal(await reclaimStrays(sql), 1);
  const [row] = await sql`SELECT state, owner, dispatch FROM run_live WHERE id = ${stray}`;
  t.match(row, { state: 'queued', owner: null, dispatch: 1 });
});

t.test('claims whose answer was lost are undone; what others own is left alone', async (t) => {
  const [mine, other] = [await accept(), await accept()];
  const [me, neighbour] = [await worker(), await worker()];
  await claim(me, [mine]);
  await claim(neighbour, [other]);
  await undoClaims(sql, me, [mine, other]);
  const rows = await sql`SELECT id, owner FROM run_live WHERE id = ANY(${[mine, other]}::uuid[])`;
  t.equal(rows.find(({ id }) => id === mine)?.owner, null);
  t.equal(rows.find(({ id }) => id === other)?.owner, neighbour);
});

t.test(
  'a claim that still waits for a row when it is undone takes nothing, whichever gets the row first',
  async (t) => {
    const [holder, cut, undoer] = ['holder', 'cut', 'undoer'].map((name) => createSql(url, { name, max: 1 }));
    if (holder === undefined || cut === undefined || undoer === undefined) throw new Error('no sessions');
    t.teardown(() => Promise.all([holder.end(), cut.end(), undoer.end()]));
    const waits = async (sessions: number) => {
      const waiting = () => sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await waiting()).length < sessions);
    };
    for (const first of ['claim', 'undo']) {
      const id = await accept();
      const me = await worker();
      const pending = await holder.begin(async (tx) => {
        await tx`SELECT FROM run_live WHERE id = ${id} FOR UPDATE`;
        // Its connection is lost to its worker; the server goes on with it all the same.
        const claimed = claim(me, [id], cut);
        await waits(1);
        const undone = undoClaims(first === 'undo' ? tx : undoer, me, [id]);
        await Promise.race([waits(2), undone]);
        return [{ claimed, undone }];
      });
      for (const { claimed, undone } of pending) await Promise.all([claimed, undone]);
      t.match(await sql`SELECT owner, state FROM run_live WHERE id = ${id}`, [{ owner: null, state: 'queued' }], first);
      const [again] = await claim(me, [id]);
      t.match(again, { id }, 'and it can be claimed anew');
    }
  },
);
