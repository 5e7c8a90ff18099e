import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  beat,
  claimRuns,
  createSql,
  lockIncarnation,
  nextDispatch,
  reclaimFromDead,
  unclaimedRuns,
  writeChunks,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, worker } = await ledgerFixture(sql);

/** Makes a heartbeat look old without waiting for it to grow old. */
const age = (id: number, seconds: number) =>
  sql`UPDATE workers SET heartbeat_at = now() - ${seconds} * interval '1 second' WHERE id = ${id}`;

t.test('a silent worker whose session stands keeps its runs; once the session is gone it loses them', async (t) => {
  const id = await accept();
  const me = await worker();
  const session = createSql(url, { name: 'session', max: 1, keepAlive: true });
  await lockIncarnation(session, me);
  await lockIncarnation(session, me); // again: must not stack up
  await claimRuns(sql, me, [id]);
  await age(me, 5);
  t.same(await reclaimFromDead(sql), { workers: [], runs: [] }, 'a pause of seconds is not death');

  await session.end();
  await age(me, 5);
  const { workers, runs } = await reclaimFromDead(sql);
  t.same(workers, [me]);
  t.match(runs, [{ runId: id, dispatch: 1 }]);
  t.same(await beat(sql, me, [id]), { alive: false, cancelled: [] }, 'it hears of its own death');
  t.same(await writeChunks(sql, me, [{ runId: id, chunk: 1, events: '[]' }]), [false]);
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
  await beat(sql, me, []);
  t.same((await reclaimFromDead(sql)).workers, []);
});

t.test('ready runs nobody claimed are found in pages; delayed and owned ones are not', async (t) => {
  await sql`TRUNCATE run_live`;
  const ready = [await accept(), await accept(), await accept()].toSorted();
  await accept({ delayMs: 60_000 });
  const owned = await accept();
  await claimRuns(sql, await worker(), [owned]);
  await sql`UPDATE run_live SET ready_at = ready_at - interval '5 seconds' WHERE ready_at < now()`;
  const first = await unclaimedRuns(sql, { after: '00000000-0000-0000-0000-000000000000', limit: 2 });
  const rest = await unclaimedRuns(sql, { after: first.at(-1)?.runId ?? '', limit: 2 });
  t.same(
    [...first, ...rest].map((d) => d.runId),
    ready,
  );
  t.match(await nextDispatch(sql, [ready[0] ?? '', owned]), [{ runId: ready[0], dispatch: 1 }]);
});
