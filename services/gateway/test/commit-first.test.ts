import { publishQueueState, publishWorkflow } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const { sql, addGateway } = await createGatewayFixture(t);
const gateway = await addGateway();
await publishWorkflow(sql, {
  name: 'plain',
  version: '1',
  description: '',
  queue: 'workflows',
  input: {},
  output: {},
});
await publishQueueState(sql, { queue: 'workflows', open: true, size: 512, round: 0 });
await gateway.admission.refresh();
const token = await gateway.tokenOf('manager');
const { workflows: queue } = gateway.queues.queues;

const start = (headers: Record<string, string> = {}) =>
  gateway.call('POST', '/api/workflows/plain/runs', { token, body: { input: {} }, headers });

/** Sessions of this database that wait for a lock. */
const blocked = async (): Promise<number[]> => {
  const waiting = sql<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return (await waiting).map(({ pid }) => pid);
};

for (const [name, headers] of [
  ['a run', {}],
  ['a run under a key', { 'idempotency-key': 'once' }],
] as const) {
  t.test(`${name} is in the queue once it is committed, and never when it is not`, async (t) => {
    await queue.drain();
    await sql.begin(async (other) => {
      await other`LOCK TABLE runs IN EXCLUSIVE MODE`;
      const starting = start(headers);
      let pids: number[] = [];
      while (pids.length === 0) pids = await blocked();
      t.equal(await queue.count(), 0, 'not committed yet');
      for (const pid of pids) await sql`SELECT pg_terminate_backend(${pid})`;
      t.match(await starting, { status: 503 });
      t.equal(await queue.count(), 0, 'and it never was');
    });
    const { status, body } = await start(headers);
    t.equal(status, 202);
    // The answer does not wait for it.
    while ((await queue.getJob(String(body.id))) === undefined);
    t.equal(await queue.count(), 1);
  });
}
