import { FlowstateError } from '@flowstate/contracts';
import { retryRuns } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);

t.test('a failure the code had gone on from stays one when the run is retried for another', async (t) => {
  const calls: string[] = [];
  let broken = true;
  const refuse = (name: string) => {
    calls.push(name);
    throw new FlowstateError('not_found', name);
  };
  const workflow = defineWorkflow(
    { name: 'falls-back', version: '1', description: '', input: Type.Unknown(), output: Type.Unknown() },
    async (ctx) => {
      const [first] = await ctx.all([
        ctx
          .step('preferred', () => refuse('preferred'))
          .catch(() => ctx.step('fallback', () => calls.push('fallback'))),
        ctx.step('beside', () => calls.push('beside')),
      ]);
      const second = await ctx.step('second', () => refuse('second')).catch(() => 'template');
      await ctx.step('last', () => (broken ? refuse('last') : calls.push('last')));
      return { first, second };
    },
  ) as Workflow;
  const id = await acceptRun(sql, workflow);
  t.match(await (await beginRun(sql, workflow, id)).done, {
    state: 'failed',
    error: { code: 'not_found', step: 'last' },
  });
  const before = calls.length;
  broken = false;
  await retryRuns(sql, [id], 'tester');
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: { second: 'template' } });
  t.equal(
    calls.filter((call) => call === 'preferred').length,
    1,
    'what came of it is on record: it is not tried again',
  );
  t.same(calls.slice(before), ['second', 'last'], 'and what nothing on record came of is');
});
