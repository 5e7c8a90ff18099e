import { randomUUID } from 'node:crypto';
import type { Db } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import Fastify from 'fastify';
import t from 'tap';
import type { App } from '../src/gateway-app.ts';
import { problemErrors } from '../src/problem.ts';

t.test('who is undone because of a deadlock is asked to come again', async (t) => {
  const { sql } = await createTestDatabase(t);
  await sql`INSERT INTO collections (name) VALUES ('a'), ('b')`;
  const app: App = Fastify({ genReqId: () => randomUUID() });
  t.teardown(() => app.close());
  problemErrors(app);
  const lock = (tx: Db, name: string) => tx`SELECT FROM collections WHERE name = ${name} FOR UPDATE`;
  const holds = Promise.withResolvers<void>();
  const waits = async () =>
    (await sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).length >
    0;
  app.post('/', async () => {
    await sql.begin(async (tx) => {
      await tx`SET LOCAL deadlock_timeout = '1ms'`;
      await lock(tx, 'a');
      holds.resolve();
      while (!(await waits()));
      await lock(tx, 'b');
    });
  });
  const answer = app.inject({ method: 'POST', url: '/' }).then((response) => response); // it begins with `then`
  await sql.begin(async (tx) => {
    await tx`SET LOCAL deadlock_timeout = '1h'`;
    await lock(tx, 'b');
    await holds.promise;
    await lock(tx, 'a');
  });
  const { statusCode, headers, body } = await answer;
  t.match({ statusCode, headers }, { statusCode: 503, headers: { 'retry-after': '1' } });
  t.match(JSON.parse(body), { code: 'unavailable' });
});
