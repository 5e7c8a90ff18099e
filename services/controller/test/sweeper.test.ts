import { createRunQueues, commonLane } from '@flowstate/queue';
import { createLogger } from '@flowstate/runtime';
import {
  acceptRuns,
  beat,
  claimRuns,
  createSql,
  lockIncarnation,
  publishWorkflow,
  registerWorker,
  type Sql,
} from '@flowstate/store';
import { createTestDatabase, createTestRedis, startCable } from '@flowstate/test';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { createSweeper } from '../src/sweeper.ts';

t.setTimeout(30_000);

t.test('a Postgres that stood still takes no runs from those who could not beat meanwhile', async (t) => {
  const [{ sql, url }, redis] = await Promise.all([createTestDatabase(t), createTestRedis(t)]);
  // Just after a start of Postgres nobody is declared dead.
  await sql`SELECT pg_sleep_until(pg_postmaster_start_time() + interval '2.1 seconds')`;
  const cable = await startCable(t, url);
  const distant = createSql(cable.url, { name: 'sweeper', max: 1 });
  const session = createSql(url, { name: 'session', max: 1, keepAlive: true });
  const queues = createRunQueues(redis.url, commonLane, () => {});
  t.teardown(() => Promise.all([distant.end(), session.end(), queues.close()]));
  const none = () => {};
  const log = createLogger('test', 'silent');
  const [gapMs, amnestyMs] = [200, 400];
  const sweeper = createSweeper({
    sql: distant,
    queues,
    log,
    onReclaimed: none,
    onReturned: none,
    gapMs,
    amnestyMs,
  });

  const entry = { name: 'sample', version: '1', description: '', queue: 'workflows' as const, input: {}, output: {} };
  const workflowId = await publishWorkflow(sql, entry);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'b', carries: [workflowId], concurrency: 1 });
  await lockIncarnation(session, me);
  const id = uuidv7();
  const who = { principalId: uuidv7(), role: 'manager' as const, owner: null };
  const rest = { priority: 5, tags: [], input: '{}', webhookUrl: null, trace: null, delayMs: 0 };
  await acceptRuns(sql, [{ id, workflowId, queue: 'workflows', ...who, ...rest }]);
  await claimRuns(sql, me, [workflowId], [id]);
  const owner = async () =>
    (await sql<{ owner: number | null }[]>`SELECT owner FROM run_live WHERE id = ${id}`)[0]?.owner;

  await sweeper.reclaim();
  cable.stall();
  const looking = sweeper.reclaim();
  await later(sql, gapMs + 1);
  // As long as nobody is served nobody beats.
  await sql`UPDATE workers SET heartbeat_at = now() - interval '20 seconds' WHERE id = ${me}`;
  await cable.mend();
  await looking;
  t.equal(await owner(), me, 'time for everybody to show that they live');
  t.match(await beat(sql, me, [id]), { alive: true, lost: [] });

  // One that does not is dead after all.
  await sql`UPDATE workers SET heartbeat_at = now() - interval '20 seconds' WHERE id = ${me}`;
  while ((await owner()) === me) await sweeper.reclaim();
  t.match(await beat(sql, me, [id]), { alive: false });
});

/** Resolves when so many milliseconds more have gone by for Postgres. */
async function later(sql: Sql, ms: number): Promise<void> {
  await sql`SELECT pg_sleep(${ms / 1000})`;
}
