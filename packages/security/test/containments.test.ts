import {
  acceptRuns,
  beat,
  cancelRuns,
  claimRuns,
  containUser,
  finishRuns,
  handOver,
  insertSession,
  listAudit,
  listContainments,
  publishWorkflow,
  quarantineRuns,
  readEvents,
  readRun,
  registerWorker,
  releaseRuns,
  sendSignal,
  suspendRun,
  wakeDueRuns,
  writeChunks,
  type AcceptedRun,
  type Sql,
} from '@flowstate/store';
import t, { type Test } from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { createAuditedChange, createContainments } from '../src/index.ts';
import { createIdentityFixture } from './fixtures/identity-fixture.ts';

const by = { id: null };
const reason = 'a test';

/**
 * A subject with a way to have runs, and containments as one gateway does them. No process is there that would be waited
 * for, and only a lock that stays is waited for so long.
 */
async function fixture(t: Test, { boundMs = 60_000 } = {}) {
  const { sql, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity, redis } = await addGateway();
  const user = await addUser();
  const subject = `user:${user.id}`;
  const workflowId = await publishWorkflow(sql, {
    name: 'sample',
    version: '1',
    description: 'for tests',
    queue: 'workflows',
    input: {},
    output: {},
  });
  const worker = async () => {
    const me = await registerWorker(sql, {
      host: 'test',
      pid: 1,
      bundle: 'test',
      carries: [workflowId],
      concurrency: 1,
    });
    await sql`UPDATE workers SET heartbeat_at = now() - interval '10 seconds' WHERE id = ${me}`;
    return me;
  };
  const accept = async (more: Partial<AcceptedRun> = {}): Promise<string> => {
    const run: AcceptedRun = {
      id: uuidv7(),
      workflowId,
      queue: 'workflows',
      principalId: user.id,
      role: 'manager',
      priority: 5,
      tags: [],
      input: '{}',
      webhookUrl: null,
      trace: null,
      delayMs: 0,
      owner: null,
      direct: true,
      ...more,
    };
    await acceptRuns(sql, [run]);
    return run.id;
  };
  const { policy, sessions } = identity;
  const containments = createContainments({
    sql,
    redis,
    policy,
    sessions,
    changeAudited: createAuditedChange(),
    boundMs,
  });
  const claim = (owner: number, ids: string[], db: Parameters<typeof claimRuns>[0] = sql) =>
    claimRuns(db, owner, [workflowId], ids);
  const stateOf = async (id: string) => (await readRun(sql, id))?.state;
  const reserve = async (work: (tx: Sql) => Promise<void>) => {
    const own = await sql.reserve();
    try {
      await work(own);
    } finally {
      own.release();
    }
  };
  /** Resolves once a statement that says so waits for a lock in this database: others have theirs on the same server. */
  const waitsFor = async (words: string): Promise<void> => {
    const waiting = () => sql`
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE ${`%${words}%`}`;
    while ((await waiting()).length === 0);
  };
  return { sql, identity, user, subject, worker, accept, containments, claim, stateOf, reserve, waitsFor, logIn };
}

const step = (seq: number) =>
  JSON.stringify([{ seq, type: 'step.completed', at: new Date().toISOString(), data: { name: `s${seq}`, output: 1 } }]);

t.test('what was killed halfway is finished by the next call', async (t) => {
  const { sql, user, subject, accept, containments, stateOf, logIn, identity } = await fixture(t);
  const { session } = await logIn(identity, user);
  const runs = await Promise.all([accept(), accept()]);
  // The first transaction is all that took place.
  const { id } = await sql.begin((tx) => containUser(tx, { userId: user.id, reason, authorId: null }));
  await identity.policy.refresh();
  t.equal(await identity.sessions.check(session.id), 'session_revoked');
  t.same(await Promise.all(runs.map(stateOf)), ['queued', 'queued']);
  t.match(await containments.contain({ subject, reason, by }), { id, sessions: 1, families: 1, runs: { queued: 2 } });
  t.same(await Promise.all(runs.map(stateOf)), ['quarantined', 'quarantined']);

  // So is a release of which only the first part took place.
  await sql`UPDATE users SET contained_at = NULL WHERE id = ${user.id}`;
  await sql`UPDATE containments SET released_at = now()`;
  t.match(await containments.release({ subject, by }), { containment: null, runs: 2 });
  t.same(await Promise.all(runs.map(stateOf)), ['queued', 'queued']);
  await t.rejects(containments.release({ subject, by }), { code: 'conflict', message: /not contained/ });
  const entries = (await listAudit(sql, { limit: 50 })).map(({ action, subject }) => [action, subject]);
  t.same(entries.toReversed(), [
    ['user.contained', user.id],
    ['runs.quarantined', user.id],
    ['runs.released', user.id],
  ]);
});

t.test('a claim in flight is waited out, and its owner is fenced', async (t) => {
  const { sql, subject, worker, accept, containments, claim, stateOf, reserve } = await fixture(t);
  const owner = await worker();
  const run = await accept();
  let contained: Promise<unknown> | undefined;
  await reserve(async (tx) => {
    await tx`BEGIN`;
    const [claimed] = await claim(owner, [run], tx);
    t.match(claimed, { id: run, recheck: true }, 'accepted without an epoch');
    contained = containments.contain({ subject, reason, by });
    // It has looked, and found the row locked.
    while ((await sql`SELECT 1 FROM users WHERE contained_at IS NOT NULL`).length === 0);
    await tx`COMMIT`;
  });
  t.match(await contained, { runs: { running: 1, queued: 0 }, left: 0 });
  t.equal(await stateOf(run), 'quarantined');
  t.same((await beat(sql, owner, [run])).lost, [run], 'its worker is told');
  t.same(await writeChunks(sql, [{ runId: run, owner, chunk: 1, events: step(3) }]), [false]);
});

t.test('a run that somebody keeps locked is reported, and taken the next time', async (t) => {
  const { subject, accept, containments, stateOf, reserve } = await fixture(t, { boundMs: 300 });
  const run = await accept();
  await reserve(async (tx) => {
    await tx`BEGIN`;
    await tx`SELECT 1 FROM run_live WHERE id = ${run} FOR UPDATE`;
    t.match(await containments.contain({ subject, reason, by }), { runs: { queued: 0 }, left: 1, obeyedMs: null });
    await tx`ROLLBACK`;
  });
  t.match(await containments.contain({ subject, reason, by }), { runs: { queued: 1 }, left: 0 });
  t.equal(await stateOf(run), 'quarantined');
});

t.test('how long until all obeyed is counted from the first call, and kept', async (t) => {
  const { sql, subject, worker, containments } = await fixture(t);
  const slow = await worker();
  const first = await containments.contain({ subject, reason, by });
  t.match(first, { obeyedMs: null, processes: [{ kind: 'worker', id: slow, obeyedMs: null }] });
  // It stood still, as it seems for a minute, and hears of everything now.
  await sql`UPDATE containments SET contained_at = contained_at - interval '1 minute'`;
  const obey = async (): Promise<void> => {
    const { epoch } = await beat(sql, slow, []);
    await beat(sql, slow, [], { obeyed: epoch });
  };
  const contain = async () => {
    await sql`UPDATE workers SET heartbeat_at = now()`;
    const before = (await beat(sql, slow, [])).epoch;
    const called = containments.contain({ subject, reason, by });
    // Once for its access, once for its runs.
    while ((await beat(sql, slow, [])).epoch < before + 2);
    await obey();
    return called;
  };
  const second = await contain();
  t.ok((second.obeyedMs ?? 0) > 60_000, `after ${second.obeyedMs} ms`);
  const [listed] = await listContainments(sql, { all: false, limit: 1 });
  t.equal(listed?.obeyedMs, second.obeyedMs);
  t.ok(((await contain()).obeyedMs ?? Infinity) < 60_000, 'one that all had obeyed is counted anew');
  await sql`UPDATE workers SET heartbeat_at = now() - interval '10 seconds'`;
  t.match(await containments.contain({ subject, reason, by }), { obeyedMs: null }, 'this time it is silent');
  t.equal((await listContainments(sql, { all: false, limit: 1 }))[0]?.obeyedMs, second.obeyedMs, 'the first stays');
});

t.test('a run that came up after all is in quarantine when its worker is told so, whoever had it locked', async (t) => {
  const { sql, user, worker, accept, containments, claim, stateOf, reserve, waitsFor } = await fixture(t);
  const run = await accept();
  await claim(await worker(), [run]);
  await sql.begin((tx) => containUser(tx, { userId: user.id, reason, authorId: null }));
  let held: Promise<unknown> | undefined;
  await reserve(async (tx) => {
    await tx`BEGIN`;
    await tx`SELECT 1 FROM run_live WHERE id = ${run} FOR UPDATE`; // as a checkpoint of one of its branches
    held = containments.hold({ id: run, userId: user.id });
    await Promise.race([held, waitsFor('FROM run_live')]);
    await tx`ROLLBACK`;
  });
  await held;
  t.equal(await stateOf(run), 'quarantined');
});

t.test('the worker it was taken from writes nothing, even when it gets the run again', async (t) => {
  const { sql, subject, worker, accept, containments, claim, stateOf } = await fixture(t);
  const owner = await worker();
  const run = await accept();
  await claim(owner, [run]);
  t.same(await writeChunks(sql, [{ runId: run, owner, chunk: 1, events: step(3) }]), [true]);
  await containments.contain({ subject, reason, by });
  await containments.release({ subject, by });
  t.match(await claim(owner, [run]), [{ id: run, owner, resumed: true, events: [{ type: 'step.completed' }, {}, {}] }]);
  // From before: same owner, the next chunk as it knew it.
  t.same(await writeChunks(sql, [{ runId: run, owner, chunk: 2, events: step(4) }]), [false]);
  const end = { runId: run, owner, chunk: 1, state: 'completed' as const, lastSeq: 4, events: '[]' };
  t.same((await finishRuns(sql, [{ ...end, output: '1', error: null }])).answers, ['lost']);
  t.equal(await stateOf(run), 'running');
  const events = await readEvents(sql, run);
  t.same(
    events.map(({ seq, type }) => [seq, type]),
    [
      [1, 'run.accepted'],
      [2, 'run.started'],
      [3, 'step.completed'],
      [4, 'run.quarantined'],
      [5, 'run.released'],
    ],
  );
});

t.test('a run that was contained before it began is numbered without a gap, whenever it is read', async (t) => {
  const { sql, subject, worker, accept, containments, claim } = await fixture(t);
  const [owner, run] = [await worker(), await accept()];
  const history = async () => (await readEvents(sql, run)).map(({ seq, type }) => [seq, type]);
  await containments.contain({ subject, reason, by });
  const held = [
    [1, 'run.accepted'],
    [2, 'run.quarantined'],
  ];
  t.same(await history(), held);
  await containments.release({ subject, by });
  t.match(await claim(owner, [run]), [{ id: run, owner }]);
  t.same(await history(), [...held, [3, 'run.released'], [4, 'run.started']]);
});

t.test('no timer, signal, job, parent, feeder or clock moves a quarantined run', async (t) => {
  const { sql, subject, user, worker, accept, containments, claim, stateOf } = await fixture(t);
  const owner = await worker();
  const [timed, signalled, delivered] = [await accept(), await accept(), await accept()];
  const child = await accept({ parentId: signalled });
  await claim(owner, [timed, signalled, child]);
  const waiting = { owner, chunk: 1, events: '[]', inbox: 0 };
  await suspendRun(sql, { ...waiting, runId: timed, wakeAt: Date.now() });
  await suspendRun(sql, { ...waiting, runId: signalled, wakeAt: null });
  // Its end tells its parent.
  const receipt = await containments.contain({ subject, reason, by });
  t.same(receipt.runs, { running: 1, queued: 1, waiting: 2 });
  t.equal(await wakeDueRuns(sql, 10), 0);
  const sent = await sendSignal(sql, { runId: signalled, name: 'go', data: 1, principalId: user.id });
  t.same(sent, { delivery: null });
  t.same(await claim(owner, [delivered, timed]), [], 'an old job of it');
  t.same(await handOver(sql, [{ id: delivered, capped: false }]), []);
  await cancelRuns(sql, [child]);
  t.equal(await stateOf(child), 'cancelled', 'only a person ends one');
  t.same(await Promise.all([timed, signalled, delivered].map(stateOf)), ['quarantined', 'quarantined', 'quarantined']);
  t.match(await containments.release({ subject, by }), { runs: 3 });
  t.equal((await claim(owner, [timed, signalled, delivered])).length, 3);
});

t.test('containing and releasing at once: runs end up as their user does', async (t) => {
  const { sql, user, subject, accept, stateOf, containments, reserve, waitsFor } = await fixture(t);
  const run = await accept();
  await containments.contain({ subject, reason, by });
  const late = await accept();
  let released: Promise<unknown> | undefined;
  await reserve(async (tx) => {
    await tx`BEGIN`;
    t.match(await quarantineRuns(tx, { userId: user.id, ids: [late] }), { queued: 1 });
    released = containments.release({ subject, by });
    await waitsFor('contained_at = NULL');
    await tx`COMMIT`;
  });
  t.match(await released, { runs: 2 }, 'it waited for what was being quarantined');
  t.same(await Promise.all([run, late].map(stateOf)), ['queued', 'queued']);
  t.equal(await sql.begin((tx) => quarantineRuns(tx, { userId: user.id, ids: [run] })), null, 'nobody is contained');
  await containments.contain({ subject, reason, by });
  t.equal(await sql.begin((tx) => releaseRuns(tx, { userId: user.id, limit: 10 })), 0);
});

t.test('a login in flight leaves no session behind', async (t) => {
  const { sql, user, subject, containments, reserve, waitsFor } = await fixture(t);
  const session = { userId: user.id, lifetime: 60, userAgent: null, address: null };
  let contained: Promise<{ sessions: number }> | undefined;
  await reserve(async (tx) => {
    await tx`BEGIN`;
    await insertSession(tx, session);
    contained = containments.contain({ subject, reason, by });
    await waitsFor('contained_at');
    await tx`COMMIT`;
  });
  t.match(await contained, { sessions: 1 });
  await t.rejects(insertSession(sql, session), { code: 'invalid_credentials' });
});

t.test('whom a key names, and who is nobody', async (t) => {
  const { sql, user, containments } = await fixture(t);
  await sql`INSERT INTO api_keys (id, prefix, hash, user_id, name, scopes)
            VALUES (${uuidv7()}, 'abcdefghijkl', '\\x00', ${user.id}, 'k', '{api}')`;
  t.match(await containments.contain({ subject: 'key:fsk_abcdefghijkl', reason, by }), { userId: user.id, keys: 1 });
  await t.rejects(containments.contain({ subject: 'key:fsk_nobody', reason, by }), { code: 'not_found' });
  await t.rejects(containments.contain({ subject: `user:${user.id}`, reason, by: { id: user.id } }), {
    code: 'conflict',
  });
});
