import { randomUUID } from 'node:crypto';
import { createSql, sendSignal } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { acceptRun } from './fixtures/begin-run.ts';
import { createTestRunner } from './fixtures/test-runner.ts';

t.setTimeout(60_000);

for (const news of [false, true]) {
  t.test(`a drain while a run falls asleep${news ? ', and is told something,' : ''} spends no attempt`, async (t) => {
    const { sql, url } = await createTestDatabase(t);
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const workflow = defineWorkflow(
      { name: 'sleepy', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
      async (ctx, input) => {
        await ctx.step('busy', () => gates[input as number]?.promise.then(() => null));
        await ctx.waitForSignal('go');
      },
    ) as Workflow;
    const [other, id] = [await acceptRun(sql, workflow, 0), await acceptRun(sql, workflow, 1)];
    const { runner, feed } = await createTestRunner(sql, workflow);
    const holder = createSql(url, { name: 'holder', max: 1 });
    t.teardown(() => holder.end());
    const waits = async (sessions: number) => {
      const waiting = () => sql`
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await waiting()).length < sessions);
    };
    for (const each of [other, id]) await feed(each);
    const deliveries = [runner.deliver(other), runner.deliver(id)];
    while (runner.held().length < 2) await new Promise(setImmediate);
    const draining = await holder.begin(async (tx) => {
      await tx`SELECT FROM run_live WHERE id = ${other} FOR UPDATE`;
      await (news
        ? sendSignal(tx, { runId: id, name: 'go', data: null, principalId: randomUUID() })
        : tx`SELECT FROM run_live WHERE id = ${id} FOR UPDATE`);
      // The other one's chunk is under way, so that what this one has recorded goes out with its falling asleep.
      gates[0]?.resolve();
      await waits(1);
      gates[1]?.resolve();
      await waits(2);
      return { drained: runner.drain(60_000) };
    });
    await draining.drained;
    const outcomes = await Promise.allSettled(deliveries);
    t.match(outcomes[1], { status: 'fulfilled', value: { ok: true } });
    t.match(await sql`SELECT state, owner, crashes FROM run_live WHERE id = ${id}`, [
      { state: news ? 'queued' : 'waiting', owner: null, crashes: 0 },
    ]);
  });
}
