import { claimRuns, createSql, readRun } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { acceptRun } from './fixtures/begin-run.ts';
import { registerTestWorker } from './fixtures/test-worker.ts';

t.setTimeout(60_000);

t.test(
  'the end of a child that Postgres undid, since it and another waited for each other, is written again',
  async (t) => {
    const { sql, url } = await createTestDatabase(t);
    const workflow = defineWorkflow(
      { name: 'family', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
      async () => null,
    ) as Workflow;
    const parent = await acceptRun(sql, workflow);
    const child = await acceptRun(sql, workflow, {}, { parentId: parent });
    const { me, carries, ledger } = await registerTestWorker(sql);
    await claimRuns(sql, me, carries, [parent, child]);
    const canceller = createSql(url, { name: 'canceller', max: 1 });
    t.teardown(() => canceller.end());

    // As a schedule that cancels its run before does: first the parent, then its children, in one transaction.
    const finished = await canceller.begin(async (tx) => {
      await tx`SET LOCAL deadlock_timeout = '1h'`; // the other one is undone
      await tx`UPDATE run_live SET cancel = true WHERE id = ${parent}`;
      const finishing = ledger.finish({
        runId: child,
        owner: me,
        chunk: 0,
        state: 'completed',
        lastSeq: 3,
        events: '[]',
        output: 'null',
        outputRef: null,
        error: null,
        isChild: true,
      });
      const settled = finishing.then(
        (answer) => ({ answer }),
        (error: unknown) => ({ error }),
      );
      const waits = () => sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await waits()).length === 0);
      await tx`SELECT FROM run_live WHERE id = ${child} FOR UPDATE`;
      return { settled };
    });
    t.same(await finished.settled, { answer: 'finished' });
    t.match(await readRun(sql, child), { state: 'completed' });
  },
);
