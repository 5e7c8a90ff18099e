import { randomUUID } from 'node:crypto';
import { createLogger } from '@flowstate/runtime';
import {
  createSql,
  deleteFinishedRuns,
  ensureLedgerPartitions,
  insertRefreshToken,
  insertSession,
  insertUser,
  oldestFinishedAge,
  readRun,
  retryRuns,
  ruleByAge,
  type Sql,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import t, { type Test } from 'tap';
import { createRetention } from '../src/retention.ts';
import { agedRuns, rowsOf } from './fixtures/aged-runs.ts';

/** A ledger of its own, and its retention as the controller's database role does it. */
async function setUp(t: Test) {
  const { sql, url } = await createTestDatabase(t);
  const controller = createSql(url, { name: 'retention', max: 1, keepAlive: true });
  t.teardown(() => controller.end());
  await controller`SET ROLE flowstate_app`;
  async function retain(policy: { days?: number; maxRuns?: number }): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const onDeleted = (table: string, rows: number) => (counts[table] = (counts[table] ?? 0) + rows);
    const log = createLogger('test', 'silent');
    const work = createRetention({ sql: controller, log, days: 0, maxRuns: 0, onDeleted, pauseMs: 0, ...policy });
    while (await work());
    return Object.fromEntries(Object.entries(counts).filter(([, rows]) => rows > 0));
  }
  return { sql, url, retain, ...(await agedRuns(sql)) };
}

const weeksOf = async (sql: Sql, week: string) =>
  (await sql`SELECT parent FROM ledger_partitions WHERE week = ${week}`).length;
const unasked = { model_calls: 0, model_spending: 0 };
const none = { runs: 0, run_ends: 0, run_journal: 0, run_inbox: 0, run_payloads: 0, webhook_deliveries: 0, ...unasked };
const all = { runs: 1, run_ends: 1, run_journal: 1, run_inbox: 1, run_payloads: 1, ...unasked };
const settleWebhook = (sql: Sql, id: string) =>
  sql`UPDATE webhook_deliveries SET state = 'delivered', due_at = NULL WHERE run_id = ${id}`;

t.test('weeks in which everything is old are dropped, of all tables; younger runs stay', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const [oldWeek, youngWeek] = [await addWeek(80), await addWeek(20)];
  const webhookUrl = 'https://example.org/';
  const old = [await addRun({ age: 80, webhookUrl, asked: true }), await addRun({ age: 80, state: 'failed' })];
  await settleWebhook(sql, old[0] ?? '');
  const [young, today] = [await addRun({ age: 20, webhookUrl }), await addRun({ age: 0 })];
  t.equal(await weeksOf(sql, oldWeek), 5);

  t.same(await retain({ days: 30 }), {
    runs: 2,
    run_ends: 2,
    run_journal: 2,
    run_inbox: 2,
    run_payloads: 2,
    webhook_deliveries: 1,
    model_calls: 1,
  });
  t.equal(await weeksOf(sql, oldWeek), 0);
  t.equal(await weeksOf(sql, youngWeek), 5);
  for (const id of old) {
    t.same(await rowsOf(sql, id), none);
    t.equal(await readRun(sql, id), null);
  }
  t.same(await rowsOf(sql, young), { ...all, webhook_deliveries: 1 });
  t.same(await rowsOf(sql, today), { ...all, webhook_deliveries: 0 });
  t.same(await retain({ days: 30 }), {}, 'nothing more to do');
  await ensureLedgerPartitions(sql);
  const age = await oldestFinishedAge(sql);
  t.ok(age !== null && Math.round(age / 86_400) === 20, 'the oldest one kept');
});

t.test(
  'logins are forgotten a month after their end, with their refresh tokens, whatever is kept of runs',
  async (t) => {
    const { sql, retain } = await setUp(t);
    const user = await insertUser(sql, { email: 'a@example.org', name: 'A', role: 'manager', passwordHash: null });
    const logIn = async (ended: string): Promise<void> => {
      const login = { userId: user?.id ?? '', lifetime: 3_600, userAgent: null, address: ended };
      const { id } = await insertSession(sql, login);
      await insertRefreshToken(sql, id, { hash: Buffer.from(id), lifetime: 3_600 });
      await sql`UPDATE sessions SET expires_at = now() - ${ended}::interval WHERE id = ${id}`;
    };
    for (const ended of ['31 days', '29 days', '-1 hour']) await logIn(ended);
    t.same(await retain({}), { sessions: 1 });
    t.same(await sql`SELECT address FROM sessions ORDER BY id`, [{ address: '29 days' }, { address: '-1 hour' }]);
    t.equal((await sql`SELECT FROM refresh_tokens`).length, 2);
  },
);

t.test('a live run keeps its week; what else is old in it goes run by run', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const week = await addWeek(80);
  const live = await addRun({ age: 80, state: null });
  const ended = await Promise.all(Array.from({ length: 250 }, (_, i) => addRun({ age: 80, asked: i === 0 })));
  const before = await rowsOf(sql, live);
  const deleted = await retain({ days: 30 });
  t.match(deleted, { runs: 250, run_ends: 250, run_journal: 250, run_inbox: 250, run_payloads: 250 }, 'over one batch');
  t.match(deleted, { model_calls: 1, model_spending: 1 });
  t.equal(await weeksOf(sql, week), 5);
  t.same(await rowsOf(sql, live), before);
  t.match(await readRun(sql, live), { state: 'running' });
  t.same(await rowsOf(sql, ended[0] ?? ''), none);
});

t.test('kept: what ended late, what a live parent or child needs, what a webhook must still tell', async (t) => {
  const { sql, retain, addRun } = await setUp(t);
  const parent = await addRun({ age: 80, state: null });
  const kept = [
    await addRun({ age: 80, ended: 1 }),
    await addRun({ age: 80, parentId: parent }),
    await addRun({ age: 80, webhookUrl: 'https://example.org/' }),
  ];
  const ofLiveChild = await addRun({ age: 80 });
  await addRun({ age: 70, state: null, parentId: ofLiveChild });
  const family = await addRun({ age: 80 });
  const goes = [family, await addRun({ age: 80, parentId: family })];
  t.match(await retain({ days: 30 }), { runs: 2 });
  for (const id of [...kept, ofLiveChild]) t.match(await rowsOf(sql, id), all);
  for (const id of goes) t.same(await rowsOf(sql, id), none);
});

t.test('by count the oldest go, live ones do not count', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const week = await addWeek(80);
  const old = await addRun({ age: 80 });
  const middle = await addRun({ age: 3 });
  const kept = [await addRun({ age: 2 }), await addRun({ age: 1, state: 'cancelled' })];
  const live = await addRun({ age: 2, state: null });
  t.match(await retain({ maxRuns: 2 }), { runs: 2 });
  for (const id of [old, middle]) t.equal(await readRun(sql, id), null);
  for (const id of [...kept, live]) t.ok(await readRun(sql, id));
  t.equal(await weeksOf(sql, week), 0);
  t.same(await retain({ maxRuns: 2 }), {});
});

t.test('0 keeps runs and workers; idempotency keys end after a day all the same', async (t) => {
  const { sql, retain, addRun } = await setUp(t);
  const id = await addRun({ age: 900 });
  const addKey = (key: string, hours: number) => sql`
    INSERT INTO idempotency VALUES (${randomUUID()}, 'POST /', ${key}, '', ${id}, now() - ${hours} * interval '1 hour')`;
  for (let n = 0; n < 5; n++) await addKey(`old${n}`, 25);
  await addKey('young', 23);
  await sql`INSERT INTO workers (host, pid, bundle, ended_at) VALUES ('old', 1, '', now() - interval '900 days')`;
  t.same(await retain({}), { idempotency: 5 });
  t.same(await sql`SELECT key FROM idempotency`, [{ key: 'young' }]);
  t.ok(await readRun(sql, id));
});

t.test('ended workers are forgotten, unless they are young, alive or own a run', async (t) => {
  const { sql, retain, addRun, owner } = await setUp(t);
  await addRun({ age: 1, state: null });
  await sql`UPDATE workers SET ended_at = now() - interval '90 days' WHERE id = ${owner}`;
  await sql`
    INSERT INTO workers (host, pid, bundle, ended_at) VALUES
    ('old', 1, '', now() - interval '31 days'), ('young', 1, '', now() - interval '29 days'), ('alive', 1, '', NULL)`;
  t.same(await retain({ days: 30 }), { workers: 1 });
  t.same(await sql`SELECT host FROM workers ORDER BY host`, [{ host: 'alive' }, { host: 'test' }, { host: 'young' }]);
});

t.test('a week that is being read is left for another time, and nobody waits', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const week = await addWeek(80);
  const id = await addRun({ age: 80 });
  await sql.begin(async (reader) => {
    await reader`SELECT count(*) FROM runs`;
    await reader`SELECT count(*) FROM run_journal`;
    await retain({ days: 30 });
    t.equal(await weeksOf(sql, week), 5);
  });
  t.equal(await readRun(sql, id), null, 'its rows went, one by one');
  await retain({ days: 30 });
  t.equal(await weeksOf(sql, week), 0);
});

t.test('a pass that ended after the runs of a week goes on with the rest of it', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const week = await addWeek(80);
  const id = await addRun({ age: 80, webhookUrl: 'https://example.org/' });
  await settleWebhook(sql, id);
  await sql.unsafe(`DROP TABLE runs_${week}`);
  t.match(await retain({ days: 30 }), { run_ends: 1, run_journal: 1, run_inbox: 1, run_payloads: 1 });
  t.equal(await weeksOf(sql, week), 0);
  t.same(await rowsOf(sql, id), none);
});

t.test('a run that is retried while it is deleted stays', async (t) => {
  const { sql, addRun } = await setUp(t);
  const id = await addRun({ age: 80, state: 'failed' });
  const rule = await ruleByAge(sql, 30);
  let deleting: Promise<Record<string, number>> | undefined;
  await sql.begin(async (tx) => {
    t.same(await retryRuns(tx, [id], 'somebody'), [id]);
    const [me] = await tx<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    const deletion = deleteFinishedRuns(sql, [id], rule);
    deleting = deletion;
    // It must be waiting for the retry by now; only then is that committed.
    const waits = async () =>
      (await sql`SELECT 1 FROM pg_stat_activity WHERE ${me?.pid ?? 0} = ANY(pg_blocking_pids(pid))`).length > 0;
    while (!(await Promise.race([waits(), deletion.then(() => true)])));
  });
  t.match(await deleting, { runs: 0, run_ends: 0, run_journal: 0 });
  t.match(await readRun(sql, id), { state: 'queued', attempt: 2 });
  t.match(await rowsOf(sql, id), { runs: 1, run_ends: 1, run_journal: 2 });
});

t.test('a week that a retry is about to enter is not dropped', async (t) => {
  const { sql, retain, addRun, addWeek } = await setUp(t);
  const week = await addWeek(80);
  const id = await addRun({ age: 80, state: 'failed' });
  const rule = await ruleByAge(sql, 30);
  await sql.begin(async (tx) => {
    await retryRuns(tx, [id], 'somebody');
    await t.rejects(sql`SELECT drop_ledger_partition('runs', ${week}, ${rule.finishedBefore}::timestamptz)`, {
      code: '55P03',
    });
  });
  await retain({ days: 30 });
  t.equal(await weeksOf(sql, week), 5);
  t.match(await readRun(sql, id), { state: 'queued' });
});

t.test('only weeks of the ledger that are over can be dropped', async (t) => {
  const { sql, addWeek } = await setUp(t);
  const [now] = await sql<{ week: string }[]>`SELECT to_char(now(), 'IYYY_IW') AS week`;
  const week = await addWeek(80);
  for (const [table, name] of [
    ['runs', now?.week ?? ''],
    ['run_live', week],
    ['users', week],
    ['runs', 'default'],
    ['run_journal', week], // before its runs
  ] as const) {
    t.match(await sql`SELECT drop_ledger_partition(${table}, ${name}, now()) AS dropped`, [{ dropped: null }], table);
  }
});

t.test('what was asked of people goes with its run', async (t) => {
  const { sql, retain, addRun } = await setUp(t);
  const [old, young] = [await addRun({ age: 40 }), await addRun({ age: 2 })];
  for (const run of [old, young]) {
    await sql`
      INSERT INTO approvals (id, run_id, step, principal_id, workflow, tool, input, input_schema)
      VALUES (${randomUUID()}, ${run}, 's', ${randomUUID()}, 'w', 'tool', '{}', '{}')`;
  }
  t.match(await retain({ days: 30 }), { runs: 1, approvals: 1 });
  t.match(await sql`SELECT run_id FROM approvals`, [{ run_id: young }]);
});
