import { createLogger } from '@flowstate/runtime';
import { putBudget, reserveModelCalls, settleModelCalls } from '@flowstate/store';
import { Registry } from '@prometheus-io/client';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { budgetMetrics } from '../src/budget-metrics.ts';
import { createBudgetResumer } from '../src/budget-resumer.ts';
import { createFeederFixture } from './fixtures/feeder-fixture.ts';

const log = createLogger('test', 'silent');

t.test(
  'a run that waits for a budget is delivered when there is room, and the metrics say how far it is used',
  async (t) => {
    const { sql, ledger, queues, accept, addWorker, claim, feeder, principal } = await createFeederFixture(t);
    const me = await addWorker();
    const owner = principal();
    const [runId = ''] = await accept(owner, 1);
    await feeder.feed();
    await claim(me, [runId]);
    const registry = new Registry();
    budgetMetrics(registry, sql, log);
    t.match(await registry.metrics(), 'flowstate_budget_used_ratio{level="run",period="total"} 0');

    const limit = (maxTokens: number) =>
      putBudget(sql, {
        level: 'principal',
        subject: owner,
        period: 'day',
        maxTokens,
        maxMicroUsd: null,
        atLimit: 'pause',
        cheaperModel: null,
      });
    await limit(1_000);
    const call = { runId, step: 'ask', attempt: 1, model: 'm', inputTokens: 500, maxOutputTokens: 450 };
    const id = uuidv7();
    await reserveModelCalls(sql, me, [{ ...call, id }], {});
    const [held] = await reserveModelCalls(sql, me, [{ ...call, id: uuidv7() }], {});
    t.equal(held?.decision, 'pause');
    await sql`UPDATE run_live SET state = 'waiting', owner = NULL WHERE id = ${runId}`;
    const metrics = await registry.metrics();
    t.match(metrics, 'flowstate_budget_used_ratio{level="principal",period="day"} 0.95');
    t.match(metrics, 'flowstate_budget_paused_runs 1');

    const resume = createBudgetResumer({ sql: ledger, queues, log });
    await resume();
    const waiting = await queues.waiting('workflows');
    await settleModelCalls(sql, [{ owner: me, settled: [{ reservation: id, inputTokens: 20, outputTokens: 10 }] }]);
    await resume();
    t.equal(await queues.waiting('workflows'), waiting + 1);
    t.match(await sql`SELECT state, dispatch FROM run_live WHERE id = ${runId}`, [{ state: 'queued', dispatch: 1 }]);
    t.match(await registry.metrics(), 'flowstate_budget_paused_runs 0');
    await limit(0);
    t.match(await registry.metrics(), 'flowstate_budget_used_ratio{level="principal",period="day"} 0');
  },
);
