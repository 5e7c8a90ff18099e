import { createInputChecks, type Role } from '@flowstate/contracts';
import { createTestDatabase } from '@flowstate/test';
import t, { type Test } from 'tap';
import {
  changeUserAccess,
  claimRuns,
  createSql,
  dueSchedules,
  fireSchedules,
  handOver,
  insertSchedule,
  insertUser,
  listRuns,
  pauseSchedule,
  postgresTime,
  publishWorkflow,
  readRun,
  readSchedule,
  registerWorker,
  scheduleLag,
  triggerSchedule,
  type ScheduleSettings,
  type Sql,
} from '../src/index.ts';
import { planFirings } from '../src/schedules/plan-firings.ts';

const { sql, url } = await createTestDatabase(t);
const checks = createInputChecks();
const workflow = { name: 'nightly', description: '', queue: 'workflows', output: {} } as const;
const workflowId = await publishWorkflow(sql, {
  ...workflow,
  version: '1',
  input: { type: 'object', properties: { n: { type: 'integer', default: 7 } } },
});
const yearly = '0 0 1 1 *';

async function addUser(role: Role): Promise<string> {
  const user = await insertUser(sql, {
    email: `${crypto.randomUUID()}@example.org`,
    name: '',
    role,
    passwordHash: null,
  });
  if (user === null) throw new Error('not added');
  return user.id;
}
const owner = await addUser('manager');

/** A schedule that was due `ago` (a Postgres interval). */
async function addDue(ago: string, overrides: Partial<ScheduleSettings> = {}): Promise<string> {
  const createdAt = await postgresTime(sql);
  const { id } = await insertSchedule(sql, {
    ownerId: owner,
    name: null,
    workflow: workflow.name,
    input: '{}',
    cron: yearly,
    everyMs: null,
    timezone: 'UTC',
    missed: 'run-once',
    overlap: 'allow',
    priority: 3,
    tags: ['night'],
    startAt: null,
    endAt: null,
    enabled: true,
    nextAt: createdAt,
    createdAt,
    ...overrides,
  });
  await makeDue(id, ago);
  return id;
}

/** Schedules go by whole milliseconds: what is due in this one is due in the next. */
const justDue = '2 milliseconds';

async function makeDue(id: string, ago: string): Promise<void> {
  await sql`UPDATE schedules SET next_at = now() - ${ago}::interval WHERE id = ${id}`;
}

const runsOf = (scheduleId: string) => listRuns(sql, { scheduleId, limit: 200 });
const fire = (id: string, db: Sql = sql) => fireSchedules(db, [id], checks);

t.test('a firing is a run of the owner, delivered by the feeder', async (t) => {
  const id = await addDue('1 second');
  t.ok((await dueSchedules(sql, 10)).includes(id));
  t.ok((await scheduleLag(sql)) >= 1);
  t.match(await fire(id), { fired: 1, missed: 0, skipped: 0, suspended: [], ended: [] });
  const [run] = await runsOf(id);
  t.match(run, {
    workflow: 'nightly',
    scheduleId: id,
    principalId: owner,
    state: 'queued',
    priority: 3,
    tags: ['night'],
    input: { n: 7 },
  });
  const deliveries = await handOver(sql, [{ id: run?.id ?? '', capped: false }]);
  t.match(deliveries, [{ runId: run?.id, dispatch: 0 }]);
  const schedule = await readSchedule(sql, id);
  t.match(schedule, { state: 'active', lastRunId: run?.id, lastError: null });
  t.match(schedule?.nextAt, /^\d{4}-01-01T00:00:00\.000Z$/);
  t.match(await fire(id), { fired: 0 }, 'not due any more');
  t.equal(await scheduleLag(sql), 0);
});

t.test('of many firers at once each due time is fired by one', async (t) => {
  const ids = await Promise.all(Array.from({ length: 60 }, () => addDue('1 second')));
  const firers = Array.from({ length: 6 }, () =>
    createSql(url, { name: 'flowstate-test-firer', max: 1, ledger: true }),
  );
  t.teardown(() => Promise.all(firers.map((firer) => firer.end())));
  const fired = await Promise.all(
    firers.map(async (firer) => {
      let sum = 0;
      for (let due = ids; due.length > 0; due = await dueSchedules(firer, 7)) {
        sum += (await fireSchedules(firer, due.slice(0, 7), checks)).fired;
      }
      return sum;
    }),
  );
  t.equal(
    fired.reduce((sum, count) => sum + count, 0),
    60,
  );
  for (const id of ids) t.equal((await runsOf(id)).length, 1);
});

t.test('a firer that dies in the middle leaves everything to the next', async (t) => {
  const id = await addDue('1 second');
  const doomed = createSql(url, { name: 'flowstate-test-doomed', max: 1 });
  t.teardown(() => doomed.end({ timeout: 1 }));
  const blocker = createSql(url, { name: 'flowstate-test-blocker', max: 1 });
  t.teardown(() => blocker.end());
  await blocker.begin(async (tx) => {
    // It has locked the schedule and waits to write its run.
    await tx`LOCK TABLE run_live IN SHARE ROW EXCLUSIVE MODE`;
    const ended = new AbortController();
    const firing = fire(id, doomed).finally(() => ended.abort());
    const cut = t.rejects(firing, 'its connection is cut');
    let blocked: { pid: number }[] = [];
    while (blocked.length === 0 && !ended.signal.aborted) {
      blocked = await sql<{ pid: number }[]>`
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'flowstate-test-doomed' AND wait_event_type = 'Lock'`;
    }
    t.match(await fire(id), { fired: 0 }, 'meanwhile nobody else takes it');
    await sql`SELECT pg_terminate_backend(${blocked[0]?.pid ?? 0})`;
    await cut;
  });
  t.equal((await runsOf(id)).length, 0);
  t.match(await fire(id), { fired: 1 });
  t.equal((await runsOf(id)).length, 1);
});

t.test('a due time that was fired is known again, whatever next_at says', async (t) => {
  const id = await addDue('1 second', { overlap: 'cancel-previous' });
  const due = (await readSchedule(sql, id))?.nextAt ?? '';
  t.match(await fire(id), { fired: 1 });
  await sql`UPDATE schedules SET next_at = ${due} WHERE id = ${id}`;
  t.match(await fire(id), { fired: 0, ended: [] });
  t.match(await runsOf(id), [{ state: 'queued' }], 'and its run is not cancelled for nothing');
  t.match(await readSchedule(sql, id), { state: 'active', nextAt: /-01-01T/ });
});

t.test('the time it is due next follows the clocks of its zone', (t) => {
  const daily = { cron: '30 2 * * *', everyMs: null, timezone: 'Europe/Berlin', startAt: null, endAt: null };
  const plan = (nextAt: string, now: string) =>
    planFirings(
      { ...daily, missed: 'run-once', createdAt: new Date(0) },
      { nextAt: new Date(nextAt), now: new Date(now) },
    );
  const fire = [new Date('2026-03-28T01:30:00Z')];
  const spring = new Date('2026-03-29T01:00:00Z');
  t.same(
    plan('2026-03-28T01:30:00Z', '2026-03-28T01:30:01Z'),
    { fire, missed: 0, nextAt: spring },
    'the end of the gap',
  );
  const autumn = plan('2026-10-25T00:30:00Z', '2026-10-25T00:30:01Z');
  t.same(autumn.nextAt, new Date('2026-10-26T01:30:00Z'), 'not again an hour later');
  t.same(plan('2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z').missed, 0, 'nor made up for');
  t.end();
});

t.test('missed due times', async (t) => {
  const everyMs = 60_000;
  const at = { cron: null, everyMs };
  const outcome = async (missed: ScheduleSettings['missed'], ago: string, settings: Partial<ScheduleSettings> = at) => {
    const id = await addDue(ago, { missed, ...settings });
    const fired = await fire(id);
    return { id, fired };
  };
  const hour = '1 hour';
  t.match((await outcome('skip', '30 seconds', {})).fired, { fired: 1, missed: 0 }, 'half a minute late is in time');
  t.match((await outcome('skip', hour, {})).fired, { fired: 0, missed: 1 }, 'an hour is not');
  t.match((await outcome('run-once', hour, {})).fired, { fired: 1, missed: 0 }, 'late but once');
  // Counted from its creation a moment ago: the next due times lie in the future.
  t.match((await outcome('run-once', hour)).fired, { fired: 1, missed: 0 });

  const createdAt = new Date((await postgresTime(sql)).valueOf() - 3_600_000);
  const late = { ...at, createdAt };
  t.match((await outcome('run-once', hour, late)).fired, { fired: 1, missed: 60 }, 'one for all');
  t.match((await outcome('skip', '10 minutes', late)).fired, { fired: 1, missed: 10 }, 'the latest is in time');

  const { id, fired } = await outcome('run-all', hour, late);
  t.match(fired, { fired: 10, missed: 0 }, 'ten in one transaction');
  const lag = await readSchedule(sql, id);
  t.ok(lag?.nextAt !== null && lag?.nextAt !== undefined && Date.parse(lag.nextAt) < Date.now(), 'the rest is due');
  let total = 10;
  for (let more = 1; more > 0; total += more) more = (await fire(id)).fired;
  t.equal(total, 61);
  const runs = await runsOf(id);
  t.equal(runs.length, 61);
  const firings = await sql<{ run_id: string }[]>`
    SELECT run_id FROM schedule_firings WHERE schedule_id = ${id} ORDER BY due_at DESC`;
  t.same(
    runs.map((run) => run.id),
    firings.map(({ run_id }) => run_id),
    'in the order of due times',
  );

  const bounded = await addDue('5 hours', {
    ...late,
    missed: 'run-all',
    createdAt: new Date(createdAt.valueOf() - 5 * 3_600_000),
  });
  let [made, missed] = [0, 0];
  for (let more = true; more;) {
    const result = await fire(bounded);
    made += result.fired;
    missed += result.missed;
    more = result.fired > 0;
  }
  t.same([made, missed], [100, 201], 'the last hundred');
  const [kept] = await sql<{ count: number }[]>`
    SELECT count(*) FROM schedule_firings WHERE schedule_id = ${bounded}`;
  t.equal(kept?.count, 100);
  await makeDue(bounded, justDue);
  await fire(bounded);
  const [still] = await sql<{ count: number }[]>`SELECT count(*) FROM schedule_firings WHERE schedule_id = ${bounded}`;
  t.equal(still?.count, 100, 'older firings are forgotten');
});

t.test('a run that is not over', async (t) => {
  const twice = async (overlap: ScheduleSettings['overlap']) => {
    const id = await addDue('2 seconds', { overlap });
    await fire(id);
    await makeDue(id, justDue);
    const second = await fire(id);
    return { id, second, states: (await runsOf(id)).map(({ state }) => state) };
  };
  t.same((await twice('allow')).states, ['queued', 'queued']);

  const { id, second, states } = await twice('skip');
  t.match(second, { fired: 0, skipped: 1, missed: 0 });
  t.same(states, ['queued']);
  t.match(await readSchedule(sql, id), { state: 'active' }, 'it goes on');
  await t.rejects(triggerSchedule(sql, id, checks), { code: 'conflict', message: /not over/ });
  await sql`DELETE FROM run_live WHERE schedule_id = ${id}`;
  await makeDue(id, justDue);
  t.match(await fire(id), { fired: 1 }, 'once it is over the next fires');

  const cancelling = await twice('cancel-previous');
  t.match(cancelling.second, { fired: 1, ended: [{ state: 'cancelled' }] });
  t.same(cancelling.states, ['queued', 'cancelled']);
  const [previous] = await runsOf(cancelling.id);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries: [workflowId], concurrency: 1 });
  t.equal((await claimRuns(sql, me, [workflowId], [previous?.id ?? ''])).length, 1);
  const triggered = await triggerSchedule(sql, cancelling.id, checks);
  t.same(triggered.ended, [], 'a worker has it: it is asked to stop');
  const [asked] = await sql<{ cancel: boolean }[]>`SELECT cancel FROM run_live WHERE id = ${previous?.id ?? ''}`;
  t.equal(asked?.cancel, true);
  t.match(await readSchedule(sql, cancelling.id), { lastRunId: triggered.runId });
});

async function suspends(t: Test, id: string, reason: RegExp): Promise<void> {
  t.match(await fire(id), { fired: 0, suspended: [{ id, reason }] });
  t.match(await readSchedule(sql, id), { state: 'suspended', nextAt: null, lastError: reason });
  t.match(await fire(id), { fired: 0, suspended: [] }, 'and does not try again');
  t.equal((await runsOf(id)).length, 0);
  await t.rejects(triggerSchedule(sql, id, checks), { code: 'conflict', message: reason });
}

t.test('what cannot fire is suspended with the reason', async (t) => {
  const disabled = await addUser('manager');
  const ofDisabled = await addDue('1 second', { ownerId: disabled });
  await changeUserAccess(sql, disabled, { disabled: true });
  await suspends(t, ofDisabled, /^.*Its owner is disabled$/);

  const demoted = await addUser('admin');
  const ofDemoted = await addDue('1 second', { ownerId: demoted });
  await changeUserAccess(sql, demoted, { role: 'analyst' });
  await suspends(t, ofDemoted, /owner's role analyst may not start runs/);
  const ofAgent = await addDue('1 second', { ownerId: demoted });
  await changeUserAccess(sql, demoted, { role: 'agent' });
  await fire(ofAgent);
  const [run] = await sql<{ role: string }[]>`SELECT role FROM runs WHERE schedule_id = ${ofAgent}`;
  t.equal(run?.role, 'agent', 'with the role its owner has now');

  await suspends(t, await addDue('1 second', { workflow: 'gone' }), /There is no workflow gone/);
  await suspends(t, await addDue('1 second', { ownerId: crypto.randomUUID() }), /owner is no user any more/);
  const lost = await addDue('1 second', { timezone: 'Mars/Olympus' });
  t.match(await fire(lost), { fired: 0, suspended: [{ id: lost, reason: /next time cannot be computed/ }] });

  const good = await addDue('1 second', { input: '{"n": 1}' });
  const bad = await addDue('1 second', { input: '{"n": "one"}' });
  t.match(await fireSchedules(sql, [good, bad], checks), {
    fired: 1,
    suspended: [{ id: bad, reason: /input does not fit the workflow nightly any more: input\.n must be integer/ }],
  });
});

t.test('a new version of the workflow counts from its first firing on', async (t) => {
  const changed = { ...workflow, name: 'changing' };
  await publishWorkflow(sql, { ...changed, version: '1', input: { type: 'object' } });
  const id = await addDue('1 second', { workflow: 'changing' });
  await fire(id);
  await publishWorkflow(sql, { ...changed, version: '2', input: { type: 'object', required: ['customerId'] } });
  await makeDue(id, justDue);
  t.match(await fire(id), { suspended: [{ reason: /input\.customerId is required/ }] });
  t.equal((await runsOf(id)).length, 1);
});

t.test('paused means not due; the last due time ends it', async (t) => {
  const id = await addDue('1 second');
  t.match(await pauseSchedule(sql, id), { state: 'paused', nextAt: null });
  t.match(await fire(id), { fired: 0 });
  const { runId } = await triggerSchedule(sql, id, checks);
  t.match(await readRun(sql, runId), { scheduleId: id }, 'by hand it fires all the same');
  t.match(await readSchedule(sql, id), { state: 'paused', lastRunId: runId });
  const ending = await addDue('1 second', { endAt: await postgresTime(sql) });
  t.match(await fire(ending), { fired: 1 });
  t.match(await readSchedule(sql, ending), { state: 'ended', nextAt: null });
});

t.test('the services reach it, workers do not', async (t) => {
  for (const table of ['schedules', 'schedule_firings']) {
    const [may] = await sql`
      SELECT has_table_privilege('flowstate_app', ${table}, 'SELECT, INSERT, UPDATE, DELETE') AS app,
             has_table_privilege('flowstate_worker', ${table}, 'SELECT, INSERT, UPDATE, DELETE') AS worker`;
    t.same(may, { app: true, worker: false }, table);
  }
});
