import { createLogger } from '@flowstate/runtime';
import { createTestDatabase, startCable } from '@flowstate/test';
import t from 'tap';
import { createIncarnation } from '../src/incarnation.ts';

t.setTimeout(30_000);

t.test('a worker whose session broke without its server hearing of it goes on living', async (t) => {
  const { sql, url } = await createTestDatabase(t);
  const cable = await startCable(t, url);
  const incarnation = await createIncarnation({
    databaseUrl: cable.url,
    sql,
    log: createLogger('test', 'silent'),
    bundle: 'test',
    carries: [],
    concurrency: 1,
    url: () => undefined,
  });
  t.teardown(() => incarnation.end());
  const nothing = () => {};
  incarnation.keepAlive({
    held: () => [],
    served: () => ({}),
    cancel: nothing,
    news: nothing,
    lose: nothing,
    loseAll: nothing,
  });
  const id = incarnation.id();
  const holders = () => sql<{ pid: number }[]>`
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = ${id} AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const [before] = await holders();

  cable.forget();
  const beats = new Set<number>();
  while (beats.size < 5) {
    const [row] = await sql<{ at: number }[]>`
      SELECT extract(epoch FROM heartbeat_at)::float8 AS at FROM workers WHERE id = ${id}`;
    beats.add(row?.at ?? 0);
  }
  t.same(await holders(), [before], 'its old session has the lock');

  // The server finds the old session dead: the new one has the lock at its next beat.
  await sql`SELECT pg_terminate_backend(${before?.pid ?? 0})`;
  for (let [now] = await holders(); now === undefined || now.pid === before?.pid;) [now] = await holders();
  t.equal(incarnation.id(), id, 'under the same number');
});
