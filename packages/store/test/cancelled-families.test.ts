import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { cancelOrphans, cancelRuns, createSql, finishRuns, readRun, retryRuns } from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, claim, worker } = await ledgerFixture(sql);
const stateOf = async (id: string) => (await readRun(sql, id))?.state;

t.test('a canceller that is lost between a run and its children leaves none of them', async (t) => {
  const parent = await accept();
  const child = await accept({ parentId: parent });
  const grandchild = await accept({ parentId: child });
  const holder = createSql(url, { name: 'holder', max: 1 });
  const canceller = createSql(url, { name: 'canceller', max: 1 });
  t.teardown(() => Promise.all([holder.end(), canceller.end({ timeout: 1 })]));
  const [backend] = await canceller<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  await holder.begin(async (tx) => {
    await tx`SELECT FROM run_live WHERE id = ${child} FOR UPDATE`;
    const cancelling = t.rejects(cancelRuns(canceller, [parent]));
    const waits = () => sql`
      SELECT FROM pg_stat_activity WHERE pid = ${backend?.pid ?? 0} AND wait_event_type = 'Lock'`;
    while ((await waits()).length === 0);
    await sql`SELECT pg_terminate_backend(${backend?.pid ?? 0})`;
    await cancelling;
  });
  t.same([await stateOf(parent), await stateOf(child)], ['cancelled', 'queued']);

  const { ended } = await cancelOrphans(sql, 10);
  t.match(
    ended.map(({ delivery }) => delivery.runId),
    [child, grandchild],
  );
  t.same(await Promise.all([child, grandchild].map(stateOf)), ['cancelled', 'cancelled']);
});

t.test('children of runs that live, ended otherwise or were retried by a person go on', async (t) => {
  const me = await worker();
  const failed = { chunk: 0, state: 'failed' as const, lastSeq: 3, events: '[]', output: null };
  const error = '{"code":"internal","message":"failed"}';
  const [live, over, cancelled] = [await accept(), await accept(), await accept()];
  const children = await Promise.all([live, over, cancelled].map((parentId) => accept({ parentId })));
  await claim(me, [over, ...children]);
  await finishRuns(sql, [{ ...failed, runId: over, owner: me, error }]);
  await cancelRuns(sql, [cancelled]);
  const again = children[2] ?? '';
  t.match(await cancelOrphans(sql, 10), { ended: [], requested: [] }, 'its owner was told of the last one');
  await finishRuns(sql, [{ ...failed, runId: again, owner: me, state: 'cancelled', error: null }]);
  const retried = await accept({ parentId: cancelled });
  await claim(me, [retried]);
  await finishRuns(sql, [{ ...failed, runId: retried, owner: me, error }]);
  t.same(await sql.begin((tx) => retryRuns(tx, [retried], 'tester')), [retried]);
  t.match(await cancelOrphans(sql, 10), { ended: [], requested: [] });
});
