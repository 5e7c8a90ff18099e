import { createSql, insertUser, readCensus, readQueueStates, setQueuePaused } from '@flowstate/store';
import t from 'tap';
import { createCensus } from '../src/census.ts';
import { createFeeder } from '../src/feeder.ts';
import { queueLoad } from '../src/queue-metrics.ts';
import { createFeederFixture } from './fixtures/feeder-fixture.ts';

t.test('caps hold: of a principal, of a workflow, of a key; a limit set at run time counts at once', async (t) => {
  const fixture = await createFeederFixture(t);
  const { sql, accept, addWorker, claim, finish, feeder, inFlight, limit, principal, publish, redis } = fixture;
  const capped = await publish({ name: 'capped', concurrency: { total: 3 } });
  const keyed = await publish({ name: 'keyed', concurrency: { perKey: 1 } });
  const me = await addWorker();
  const clear = () => Promise.all([sql`TRUNCATE run_live`, redis.flush()]);
  /** Ends what is in flight and feeds: what comes in its place? */
  const next = async () => {
    const ids = await inFlight();
    await claim(me, ids);
    for (const id of ids) await finish(me, id);
    await redis.flush(); // no worker took their jobs
    await feeder.feed();
    return inFlight();
  };

  await t.test('of a principal', async (t) => {
    const [one, two] = [principal(), principal()];
    await limit({ scope: 'principal', subject: one, maxConcurrent: 2 });
    const own = await accept(one, 5);
    const others = await accept(two, 5);
    await feeder.feed();
    t.same((await inFlight()).toSorted(), [...own.slice(0, 2), ...others].toSorted(), 'the other is not held back');
    await feeder.feed();
    t.equal((await inFlight()).length, 7, 'and stays so');
    t.same(await next(), own.slice(2, 4));
    await clear();
  });

  await t.test('of a role, and of everybody, with the narrower before the wider', async (t) => {
    const user = await insertUser(sql, { email: 'a@example.org', name: 'A', role: 'agent', passwordHash: null });
    const agent = user?.id as string;
    await limit({ maxConcurrent: 1 });
    await limit({ scope: 'role', subject: 'agent', maxConcurrent: 2 });
    await accept(agent, 5);
    await accept(principal(), 5);
    await feeder.feed();
    t.equal((await inFlight()).length, 3);
    await sql`DELETE FROM limits`;
    await clear();
  });

  await t.test('of a workflow, over all principals, and behind it others go on', async (t) => {
    const one = principal();
    const first = await accept(one, 2, { workflowId: capped, priority: 0 });
    const rest = await accept(principal(), 4, { workflowId: capped, priority: 0 });
    const other = await accept(one, 1, { priority: 9 });
    await feeder.feed();
    const fed = await inFlight();
    t.equal(fed.length, 4);
    t.equal(fed.filter((id) => first.includes(id) || rest.includes(id)).length, 3);
    t.ok(fed.includes(other[0] ?? ''));
    await limit({ scope: 'workflow', subject: 'capped', maxConcurrent: 5 });
    await feeder.feed();
    t.equal((await inFlight()).length, 6, 'an operator goes before the declaration');
    await clear();
  });

  await t.test('of a key: others overtake those that wait for theirs', async (t) => {
    const one = principal();
    const same = await accept(one, 20, { workflowId: keyed, concurrencyKey: 'same' });
    const different = await accept(one, 1, { workflowId: keyed, concurrencyKey: 'different' });
    const none = await accept(one, 2, { workflowId: keyed });
    await feeder.feed();
    t.same(await inFlight(), [...same.slice(0, 1), ...different, ...none], 'in the order of their ids');
    t.same(await next(), same.slice(1, 2));
    const [state] = await readQueueStates(sql);
    t.equal(state?.open, true, 'runs that wait for their own places keep nobody else in line');
    await clear();
  });
});

t.test('weights share the window out', async (t) => {
  const { accept, addWorker, feeder, inFlight, limit, principal } = await createFeederFixture(t);
  await addWorker(20); // the first pass aims at two jobs for each place
  const [three, one] = [principal(), principal()];
  await limit({ scope: 'principal', subject: three, weight: 3 });
  const heavy = new Set(await accept(three, 500));
  await accept(one, 500);
  await feeder.feed();
  const fed = await inFlight();
  t.equal(fed.length, 40);
  t.equal(fed.filter((id) => heavy.has(id)).length, 30);
});

t.test('a version nobody carries waits and is counted; it keeps nobody else in line', async (t) => {
  const { sql, ledger, lanes, accept, addWorker, feeder, inFlight, principal, publish, queues } =
    await createFeederFixture(t);
  await addWorker();
  const gone = await publish({ name: 'gone', version: '7' });
  const one = principal();
  await accept(one, 30, { workflowId: gone, priority: 0 });
  const here = await accept(one, 1, { priority: 9 });
  await feeder.feed();
  t.same(await inFlight(), here);
  t.match(await readQueueStates(sql), [{ queue: 'workflows', open: true }]);
  const census = createCensus({ sql: ledger, lanes, leads: () => true });
  await census.count();
  const { stranded, live } = census.latest() ?? {};
  t.match(
    stranded?.find(({ workflow }) => workflow === 'gone'),
    { version: '7', runs: 30 },
  );
  t.same(new Set(stranded?.filter(({ workflow }) => workflow !== 'gone').map(({ runs }) => runs)), new Set([0]));
  t.same(live?.get('gone'), { queued: 30, running: 0, waiting: 0, parked: 0, quarantined: 0 });
  t.equal(census.latest()?.queues.workflows.backlog, 30);
  t.match(await queueLoad(queues, census, 'workflows'), { active: 0, waiting: 1 }, 'another worker helps no other');
});

t.test('gateways are told who may reach a limit before the next count', async (t) => {
  const { sql, ledger, lanes, accept, limit, principal } = await createFeederFixture(t);
  const [one, two, three] = [principal(), principal(), principal()];
  await limit({ maxBacklog: 10 });
  await limit({ scope: 'principal', subject: three, maxBacklog: 50_000 });
  await accept(one, 4);
  await accept(two, 3);
  await accept(two, 2, { queue: 'documents', direct: true });
  await accept(three, 20);
  await createCensus({ sql: ledger, lanes, leads: () => false }).count();
  t.same((await readCensus(sql)).crowded, {}, 'only the leader tells');
  await createCensus({ sql: ledger, lanes, leads: () => true }).count();
  const census = await readCensus(sql);
  t.same(census, { countedAt: census.countedAt, fresh: true, crowded: { [one]: 4, [two]: 5 } });
  t.same((await readCensus(sql, census.countedAt)).crowded, null, 'who knows it is not told again');
});

t.test('load is what workers could do: caps and a pause lower it', async (t) => {
  const { sql, ledger, lanes, accept, addWorker, limit, principal, queues } = await createFeederFixture(t);
  await addWorker();
  const [one, two] = [principal(), principal()];
  await accept(one, 10);
  await accept(two, 10);
  await accept(two, 10, { delayMs: 3_600_000 });
  await limit({ scope: 'principal', subject: one, maxConcurrent: 4 });
  const load = async () => {
    const census = createCensus({ sql: ledger, lanes, leads: () => true });
    await census.count();
    return queueLoad(queues, census, 'workflows');
  };
  t.match(await load(), { active: 0, waiting: 14 });
  await setQueuePaused(sql, 'workflows', true);
  t.match(await load(), { active: 0, waiting: 0, paused: true });
});

t.test(
  'a flushed Redis is no empty queue: what workers hold and what was handed over is known to the ledger',
  async (t) => {
    const { ledger, lanes, accept, addWorker, claim, feeder, inFlight, principal, queues, redis } =
      await createFeederFixture(t);
    const worker = await addWorker();
    await accept(principal(), 10);
    await feeder.feed();
    const [first = ''] = await inFlight();
    await claim(worker, [first]);
    const census = createCensus({ sql: ledger, lanes, leads: () => true });
    await census.count();
    t.match(await queueLoad(queues, census, 'workflows'), { active: 1, waiting: 9 });
    await redis.flush();
    t.match(await queueLoad(queues, census, 'workflows'), { active: 1, waiting: 9 });
  },
);

t.test('a paused queue begins nothing, not even what is in Redis, and FLUSHALL does not resume it', async (t) => {
  const { sql, accept, work, feeder, feedUntil, principal, queues, redis, sweeper } = await createFeederFixture(t);
  await accept(principal(), 100);
  await feeder.feed();
  await setQueuePaused(sql, 'workflows', true);
  await feeder.feed();
  const started: string[] = [];
  await work((runId) => void started.push(runId));
  await redis.flush();
  await feeder.feed();
  t.equal(await queues.queues.workflows.isPaused(), true);
  t.same(started, []);
  t.match(await readQueueStates(sql), [{ queue: 'workflows', paused: true, open: false }]);

  await setQueuePaused(sql, 'workflows', false);
  await sql`UPDATE run_live SET ready_at = ready_at - interval '5 seconds'`;
  await sweeper.findUndelivered();
  await feedUntil(() => started.length === 100);
  t.equal(await queues.queues.workflows.isPaused(), false);
});

t.test('caps hold when the leader changes in the middle of a pass', async (t) => {
  const { url, sql, accept, addWorker, feeder, inFlight, lanes, principal, publish, queues } =
    await createFeederFixture(t);
  const workflowId = await publish({ name: 'capped', concurrency: { total: 1 } });
  await addWorker();
  const [first = ''] = await accept(principal(), 1, { workflowId });
  const [own, holder] = ['earlier-leader', 'holder'].map((name) => createSql(url, { name, max: 2, ledger: true }));
  if (own === undefined || holder === undefined) throw new Error('no sessions');
  t.teardown(() => Promise.all([own.end(), holder.end()]));
  const earlier = createFeeder({ sql: own, queues, lanes, windowSize: undefined, onFed: () => {} });
  const waits = async (sessions: number) => {
    const waiting = () => sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    while ((await waiting()).length < sessions);
  };
  const passes = await holder.begin(async (tx) => {
    await tx`SELECT FROM run_live WHERE id = ${first} FOR UPDATE`;
    const old = earlier.feed(); // has counted, and chosen the first one
    await waits(1);
    await accept(principal(), 1, { workflowId, priority: 0 });
    const next = feeder.feed();
    await Promise.race([next, waits(2)]);
    return [old, next].map((pending) => ({ pending }));
  });
  for (const { pending } of passes) await pending;
  t.same(await inFlight(), [first]);
});
