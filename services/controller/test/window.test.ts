import { rounds } from '@flowstate/queue';
import { readQueueStates } from '@flowstate/store';
import t from 'tap';
import { createFeederFixture } from './fixtures/feeder-fixture.ts';

t.test('a light client with the last priority starts within the bound, whatever a heavy one has queued', async (t) => {
  const window = 64;
  const { accept, work, feedUntil, principal } = await createFeederFixture(t, { windowSize: window });
  const heavy = principal();
  await accept(heavy, 2_000, { priority: 0 });
  const started: string[] = [];
  const light: string[] = [];
  let before = 0;
  await work(async (runId) => {
    started.push(runId);
    if (started.length !== 200) return;
    // In the middle of it: all places are taken, the window is full, and it will be filled again and again.
    light.push(...(await accept(principal(), 3, { priority: 9 })));
    before = started.length;
  });
  await feedUntil(() => light.length > 0 && light.every((id) => started.includes(id)));
  for (const [n, id] of light.entries()) {
    const waitedFor = started.indexOf(id) - before;
    const bound = 3 * window + 2 * (n + 1);
    t.ok(waitedFor <= bound, `its run ${n + 1} waited for ${waitedFor} others, at most ${bound}`);
  }
  t.ok(started.length < 1_000, `the heavy client was not through by then: ${started.length}`);
});

t.test('Redis holds the window and no more with 20,000 queued, also when it is emptied meanwhile', async (t) => {
  const window = 128;
  const { acceptMany, work, feedUntil, principal, queues, redis, sweeper } = await createFeederFixture(t, {
    windowSize: window,
  });
  await acceptMany(principal(), 15_000);
  await acceptMany(principal(), 5_000);
  let passes = 0;
  t.ok((await feedUntil(() => passes++ === 20)) <= window, 'without a worker');
  t.ok((await queues.waiting('workflows')) > 0, 'but something is there for the first that comes');

  const started: string[] = [];
  await work((runId) => void started.push(runId));
  let most = await feedUntil(() => started.length >= 300);
  await redis.flush();
  const flushedAt = started.length;
  await sweeper.findUndelivered();
  most = Math.max(most, await feedUntil(() => started.length >= flushedAt + 300));
  t.ok(most <= window, `at most ${most} jobs in Redis`);
  t.equal(new Set(started).size, started.length, 'no run began twice');
});

t.test('everything handed over is found again after FLUSHALL and ends', async (t) => {
  const { sql, accept, work, feedUntil, principal, redis, sweeper } = await createFeederFixture(t, { windowSize: 32 });
  const ids = await accept(principal(), 200);
  await sql`UPDATE run_live SET ready_at = ready_at - interval '5 seconds'`; // as if it had been a while
  const started = new Set<string>();
  await work((runId) => void started.add(runId));
  await feedUntil(() => started.size >= 50);
  await redis.flush();
  await sweeper.findUndelivered();
  await feedUntil(() => started.size === ids.length);
  t.same([...started].toSorted(), ids.toSorted());
});

t.test('after the last round counting begins anew, once nothing of the old ones waits', async (t) => {
  const { sql, accept, work, feedUntil, principal } = await createFeederFixture(t, { windowSize: 32 });
  await sql`UPDATE queue_states SET round = ${rounds - 2} WHERE queue = 'workflows'`;
  await accept(principal(), 200);
  const started: string[] = [];
  await work((runId) => void started.push(runId));
  await feedUntil(() => started.length === 200);
  const [state] = await readQueueStates(sql);
  t.ok((state?.round ?? Infinity) < 1_000, `round ${state?.round}`);
});
