import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import {
  acceptRuns,
  claimRuns,
  createSql,
  finishRuns,
  handBackRun,
  listWorkflows,
  loadOwnedRuns,
  sendSignal,
  suspendRun,
  writeChunks,
  type Db,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

// What services do for each run must not go through all the runs that live: not by a plan of when there were none either.
const { sql, url } = await createTestDatabase(t);
const { newRun, worker, principalId } = await ledgerFixture(sql);
await sql`VACUUM (ANALYZE)`;

const ledger = createSql(url, { name: 'plans', max: 1, ledger: true });
t.teardown(() => ledger.end());
const [workflow] = await listWorkflows(sql);
const carries = [workflow?.id ?? 0];
const me = await worker();

const end = (runId: string) => ({
  runId,
  owner: me,
  chunk: 1,
  state: 'completed' as const,
  lastSeq: 4,
  events: '[]',
  output: '{}',
  error: null,
});

/** Prepared while nothing lives, by what is not there. */
async function prepare(db: Db): Promise<void> {
  const { id } = newRun();
  await claimRuns(db, me, carries, [id]);
  await loadOwnedRuns(db, me, [id]);
  await writeChunks(db, [{ runId: id, owner: me, chunk: 1, events: '[]' }]);
  await finishRuns(db, [end(id)]);
  await suspendRun(db, { runId: id, owner: me, chunk: 1, events: '[]', inbox: 0, wakeAt: null });
  await handBackRun(db, me, id);
  await sendSignal(db, { runId: id, name: 'go', data: 1, principalId });
}
await prepare(ledger);

const lives = 300;
const runs = Array.from({ length: lives }, () => newRun());
await acceptRuns(sql, runs);
const ids = runs.map(({ id }) => id);

/** Rows of `run_live` that a statement read, as the server counts them. */
async function rowsTouched(work: (db: Db) => Promise<unknown>): Promise<number> {
  return ledger.begin(async (tx) => {
    const count = async () => {
      const [row] = await tx<{ rows: number }[]>`
        SELECT idx_tup_fetch + seq_tup_read AS rows FROM pg_stat_xact_user_tables WHERE relname = 'run_live'`;
      return row?.rows ?? Number.NaN;
    };
    const before = await count();
    await work(tx);
    return (await count()) - before;
  });
}

t.test('what is done for some runs touches these', async (t) => {
  const some = ids.slice(10, 13);
  const [first = '', second = '', third = ''] = some;
  const parent = newRun();
  await acceptRuns(sql, [parent]);
  const child = newRun({ parentId: parent.id });
  await acceptRuns(sql, [child]);
  await claimRuns(sql, me, carries, [child.id]);
  await writeChunks(sql, [{ runId: child.id, owner: me, chunk: 1, events: '[]' }]);

  const few = 12;
  const touched = {
    claim: await rowsTouched((db) => claimRuns(db, me, carries, some)),
    load: await rowsTouched((db) => loadOwnedRuns(db, me, some)),
    checkpoint: await rowsTouched((db) =>
      writeChunks(
        db,
        some.map((runId) => ({ runId, owner: me, chunk: 1, events: '[]' })),
      ),
    ),
    again: await rowsTouched((db) => writeChunks(db, [{ runId: first, owner: me, chunk: 1, events: '[]' }])),
    signal: await rowsTouched((db) => sendSignal(db, { runId: second, name: 'go', data: 1, principalId })),
    suspend: await rowsTouched((db) =>
      suspendRun(db, { runId: third, owner: me, chunk: 2, events: '[]', inbox: 0, wakeAt: null }),
    ),
    finish: await rowsTouched((db) => finishRuns(db, [first, second].map(end))),
    'finish, lost': await rowsTouched((db) => finishRuns(db, [end(third)])),
    'finish of a child': await rowsTouched((db) => finishRuns(db, [end(child.id)])),
    'hand back': await rowsTouched((db) => handBackRun(db, me, second)),
  };
  for (const [name, rows] of Object.entries(touched)) t.ok(rows <= few, `${name}: ${rows} of ${lives} rows`);
  t.ok(touched.claim >= some.length, 'and they are counted');
});
