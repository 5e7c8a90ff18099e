import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { cancelRuns, createSql, finishRuns, readInbox, retryRuns, suspendRun, type Sql } from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, claim, worker } = await ledgerFixture(sql);

const session = (name: string): Sql => {
  const own = createSql(url, { name, max: 1 });
  t.teardown(() => own.end());
  return own;
};
const [holder, retrier, ender] = [session('holder'), session('retrier'), session('ender')];

const endOf = (runId: string, owner: number, state: 'completed' | 'failed') => ({
  runId,
  owner,
  chunk: 0,
  state,
  lastSeq: 3,
  events: '[]',
  output: null,
  error: state === 'failed' ? '{"code":"internal","message":"failed"}' : null,
});

/** Resolves when so many sessions wait for others' locks. */
async function waiting(sessions: number): Promise<void> {
  const waits = () => sql`
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await waits()).length < sessions);
}

/** A failed run whose child still runs. */
async function failedParent(): Promise<{ parent: string; child: string; me: number }> {
  const me = await worker();
  const parent = await accept();
  const child = await accept({ parentId: parent });
  await claim(me, [parent, child]);
  await finishRuns(sql, [endOf(parent, me, 'failed')]);
  return { parent, child, me };
}

/** Retries the parent; when that has looked at what the run was told, and not yet committed, its child ends. */
async function retryWhile(parent: string, end: () => Promise<unknown>): Promise<void> {
  const [retrying, ending] = await holder.begin(async (tx) => {
    await tx`SELECT FROM runs WHERE id = ${parent} FOR UPDATE`;
    const retried = retrier.begin((own) => retryRuns(own, [parent], 'tester'));
    await waiting(1);
    const ended = end();
    await Promise.race([ended, waiting(2)]);
    return [retried, ended].map((pending) => ({ pending }));
  });
  t.same(await retrying?.pending, [parent]);
  await ending?.pending;
}

t.test('a parent that is retried while its child ends hears of that end', async (t) => {
  const { parent, child, me } = await failedParent();
  await retryWhile(parent, () => finishRuns(ender, [endOf(child, me, 'completed')]));
  t.match(await readInbox(sql, parent), { seen: 1, entries: [{ kind: 'child', name: child }] });
});

t.test('a parent that is retried while its child is cancelled hears of that', async (t) => {
  const { parent } = await failedParent();
  const queued = await accept({ parentId: parent });
  await retryWhile(parent, () => cancelRuns(ender, [queued]));
  t.match(await readInbox(sql, parent), { seen: 1, entries: [{ kind: 'child', name: queued }] });
});

t.test('a child that ended before the retry, or after it, is counted once', async (t) => {
  const { parent, child, me } = await failedParent();
  const other = await accept({ parentId: parent });
  await claim(me, [other]);
  await finishRuns(sql, [endOf(child, me, 'completed')]);
  await sql.begin((tx) => retryRuns(tx, [parent], 'tester'));
  t.match(await readInbox(sql, parent), { seen: 1 });
  await sql`UPDATE run_live SET due_at = NULL WHERE id = ${parent}`;
  await claim(me, [parent]);
  const [live] = await sql<{ chunk: number }[]>`SELECT chunk FROM run_live WHERE id = ${parent}`;
  const asleep = { runId: parent, owner: me, chunk: (live?.chunk ?? 0) + 1, events: '[]', inbox: 1, wakeAt: null };
  t.equal(await suspendRun(sql, asleep), 'released');
  await finishRuns(sql, [endOf(other, me, 'completed')]);
  t.match(await sql`SELECT state FROM run_live WHERE id = ${parent}`, [{ state: 'queued' }], 'awake');
  t.match(await readInbox(sql, parent), { seen: 2, entries: [{}, {}] });
});
