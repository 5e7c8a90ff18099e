import { randomInt, randomUUID } from 'node:crypto';
import { budgetSignal, type StoredBudget } from '@flowstate/contracts';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import {
  createSql,
  deleteBudget,
  listBudgets,
  putBudget,
  readInbox,
  readUsage,
  reserveModelCalls,
  resumePausedRuns,
  settleModelCalls,
  type CallToReserve,
  type Db,
  type ModelPrices,
  type Reservation,
  type Settlement,
} from '../src/index.ts';
import { ledgerFixture } from './ledger-fixture.ts';

const { sql, url } = await createTestDatabase(t);
const { accept, claim, worker } = await ledgerFixture(sql);
const owner = await worker();

/** Dollars for a million tokens, in millionths. */
const prices: ModelPrices = { big: [2_500_000, 10_000_000], small: [150_000, 600_000] };

async function claimedRun(overrides: Parameters<typeof accept>[0] = {}): Promise<string> {
  const id = await accept(overrides);
  await claim(owner, [id]);
  return id;
}

const callOf = (runId: string, overrides: Partial<CallToReserve> = {}): CallToReserve => ({
  id: uuidv7(),
  runId,
  step: 'agent/model#1',
  attempt: 1,
  model: 'big',
  inputTokens: 600,
  maxOutputTokens: 400,
  ...overrides,
});
const reserve = async (call: CallToReserve, by = owner): Promise<Reservation> => {
  const [answer] = await reserveModelCalls(sql, by, [call], prices);
  if (answer === undefined) throw new Error('no answer');
  return answer;
};
const settle = (settled: readonly Settlement[], by = owner, db: Db = sql) =>
  settleModelCalls(db, [{ owner: by, settled }]);
const budget = (overrides: Partial<StoredBudget>): StoredBudget => ({
  level: 'principal',
  subject: '',
  period: 'total',
  maxTokens: null,
  maxMicroUsd: null,
  atLimit: 'fail',
  cheaperModel: null,
  ...overrides,
});
const set = (overrides: Partial<StoredBudget>) => putBudget(sql, budget(overrides));
t.afterEach(async () => {
  await sql`DELETE FROM budgets`;
});

/** Calls by what they count for, beside the counters: these two must agree at any time. */
async function wrongCounters(): Promise<unknown[]> {
  const rows = await sql`
    WITH spent AS (
      SELECT coalesce(input_tokens + output_tokens, reserved_tokens) AS tokens,
             coalesce(CASE WHEN settled_at IS NULL THEN reserved_micro_usd ELSE micro_usd END, 0) AS usd, c.*
      FROM model_calls c
    ),
    sums AS (
      SELECT k.level, k.subject, sum(tokens) AS tokens, sum(usd) AS micro_usd FROM spent
      CROSS JOIN LATERAL (VALUES ('run', run_id::text), ('principal', principal_id::text), ('workflow', workflow), ('model', model))
        AS k(level, subject) GROUP BY 1, 2
    )
    SELECT s.*, n.tokens, n.micro_usd FROM model_spending s LEFT JOIN sums n USING (level, subject)
    WHERE (s.total_tokens, s.total_micro_usd, s.day_tokens, s.day_micro_usd, s.month_tokens, s.month_micro_usd)
      IS DISTINCT FROM (coalesce(n.tokens, 0), coalesce(n.micro_usd, 0), coalesce(n.tokens, 0), coalesce(n.micro_usd, 0),
                        coalesce(n.tokens, 0), coalesce(n.micro_usd, 0))`;
  return [...rows];
}

t.test('1,000 calls reserved and settled at once never exceed a cap, and leave no room unused', async (t) => {
  const [alice, bob] = [randomUUID(), randomUUID()];
  const runs = await Promise.all(
    Array.from({ length: 24 }, (_, i) => claimedRun({ principalId: i % 2 === 0 ? alice : bob })),
  );
  const caps = { alice: 150_000, bob: 1_000_000, run: 40_000, small: 120_000, day: 900_000 };
  await set({ subject: alice, maxTokens: caps.alice });
  await set({ subject: bob, maxMicroUsd: caps.bob });
  await set({ level: 'run', maxTokens: caps.run });
  await set({ level: 'model', subject: 'small', maxTokens: caps.small, period: 'month' });
  await set({ level: 'workflow', subject: 'sample', maxTokens: caps.day, period: 'day' });

  const pools = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => createSql(url, { name: `pool-${i}`, max: 2, ledger: true })),
  );
  t.teardown(() => Promise.all(pools.map((pool) => pool.end())));
  const calls = Array.from({ length: 1_000 }, () =>
    callOf(runs[randomInt(runs.length)] ?? '', {
      model: randomInt(3) === 0 ? 'small' : 'big',
      inputTokens: randomInt(1, 1_500),
      maxOutputTokens: randomInt(1, 500),
    }),
  );
  const answers: Reservation[] = [];
  let exceeded = 0;
  /** Batches of any size, as workers send them; some are settled while others reserve. */
  async function work(pool: (typeof pools)[number]): Promise<void> {
    for (;;) {
      const batch = calls.splice(0, randomInt(1, 9));
      if (batch.length === 0) return;
      const got = await reserveModelCalls(pool, owner, batch, prices);
      answers.push(...got);
      const [over] = await pool`
        SELECT count(*)::int AS n FROM model_spending s CROSS JOIN LATERAL budgets_of(s.level, s.subject) b
        WHERE s.total_tokens > b.max_tokens OR s.total_micro_usd > b.max_micro_usd`;
      exceeded += over?.['n'] as number;
      const used = got.filter(({ decision }) => decision === 'granted' && randomInt(2) === 0);
      await settle(
        used.map(({ id, needTokens }) => ({
          reservation: id,
          inputTokens: Math.floor(needTokens / 2),
          outputTokens: 0,
        })),
        owner,
        pool,
      );
    }
  }
  await Promise.all(pools.flatMap((pool) => [work(pool), work(pool)]));

  t.equal(answers.length, 1_000);
  t.equal(exceeded, 0, 'at no time more than any cap');
  t.same(await wrongCounters(), []);
  const granted = answers.filter(({ decision }) => decision === 'granted');
  t.ok(granted.length > 100 && granted.length < 1_000, `${granted.length} of 1,000 were granted`);
  const states = await listBudgets(sql);
  t.equal(states.length, 5);
  // What was refused has no room even now, but for what settled after it: the smallest call says how much is left.
  const left = await reserve(callOf(runs[0] ?? '', { inputTokens: caps.run, maxOutputTokens: 1 }));
  t.equal(left.decision, 'refused');
});

t.test(
  'what was used takes the place of what was reserved, once and only by the worker that made the call',
  async (t) => {
    const principalId = randomUUID();
    const runId = await claimedRun({ principalId });
    const call = callOf(runId);
    t.match(await reserve(call), { decision: 'granted', model: 'big', needTokens: 1_000, needMicroUsd: 5_500 });
    t.match(await reserve(call), { decision: 'granted', model: 'big' }, 'asked again, it is the same reservation');
    const [before] = await readUsage(sql, { by: 'principal', principalId, limit: 9 });
    t.match(before, { calls: 1, unsettledCalls: 1, reservedTokens: 1_000, reservedMicroUsd: 5_500, microUsd: 0 });

    const used = { reservation: call.id, inputTokens: 500, outputTokens: 100 };
    t.equal(await settle([used], owner + 1), 0, 'not by another');
    t.equal(await settle([used, used]), 1);
    t.equal(await settle([{ ...used, inputTokens: 0 }]), 0, 'once');
    t.equal(await settle([{ ...used, reservation: uuidv7() }]), 0, 'what was never reserved');

    // 500 × 2.5 + 100 × 10 = 2,250 millionths.
    const line = {
      calls: 1,
      unsettledCalls: 0,
      reservedTokens: 0,
      inputTokens: 500,
      outputTokens: 100,
      microUsd: 2_250,
    };
    for (const by of ['principal', 'run'] as const) {
      t.match(await readUsage(sql, { by, principalId, limit: 9 }), [line], by);
    }
    t.match(await readUsage(sql, { by: 'model', runId, limit: 9 }), [{ key: 'big', ...line }]);
    t.same(await wrongCounters(), []);
    const lost = await reserve(callOf(runId), owner + 1);
    t.equal(lost.decision, 'lost', 'a run of another worker is none of its business');
  },
);

t.test('a budget of nothing lets nothing through, and says which it is', async (t) => {
  const runId = await claimedRun();
  await set({ level: 'workflow', subject: 'sample', period: 'month', maxTokens: 0 });
  t.match(await reserve(callOf(runId)), {
    decision: 'refused',
    budget: { level: 'workflow', subject: 'sample', period: 'month', maxTokens: 0 },
  });
  t.same(await readUsage(sql, { by: 'run', runId, limit: 1 }), []);
});

t.test('the narrower budget takes the place of that for each', async (t) => {
  const [alice, bob] = [randomUUID(), randomUUID()];
  await set({ maxTokens: 500 });
  await set({ subject: alice, maxTokens: 5_000 });
  t.match(await reserve(callOf(await claimedRun({ principalId: alice }))), { decision: 'granted' });
  t.match(await reserve(callOf(await claimedRun({ principalId: bob }))), {
    decision: 'refused',
    budget: { subject: '' },
  });
});

t.test('the cheaper model is taken where there is room for it, and the call fails where not', async (t) => {
  const runId = await claimedRun();
  await set({ level: 'run', maxMicroUsd: 6_000, atLimit: 'cheaper', cheaperModel: 'small' });
  t.match(await reserve(callOf(runId)), { decision: 'granted', model: 'big', needMicroUsd: 5_500 });
  t.match(await reserve(callOf(runId)), { decision: 'granted', model: 'small', needMicroUsd: 330 });
  t.match(await reserve(callOf(runId)), { decision: 'refused', budget: { level: 'run', atLimit: 'cheaper' } });
  await set({ level: 'model', subject: 'big', maxTokens: 0, atLimit: 'cheaper', cheaperModel: 'medium' });
  await set({ level: 'model', subject: 'medium', maxTokens: 0, atLimit: 'cheaper', cheaperModel: 'small' });
  const other = await claimedRun();
  t.match(await reserve(callOf(other)), { decision: 'granted', model: 'small' }, 'from one to the next');
  t.same(await wrongCounters(), []);
});

t.test('a model without a price: tokens are counted, a cap in money refuses it', async (t) => {
  const runId = await claimedRun();
  await set({ level: 'run', maxTokens: 2_000 });
  const call = callOf(runId, { model: 'unknown' });
  t.match(await reserve(call), { decision: 'granted', needMicroUsd: null });
  await settle([{ reservation: call.id, inputTokens: 600, outputTokens: 1 }]);
  t.match(await readUsage(sql, { by: 'run', runId, limit: 1 }), [{ unpricedCalls: 1, inputTokens: 600, microUsd: 0 }]);
  await set({ level: 'run', maxMicroUsd: 1_000_000, atLimit: 'pause' });
  t.match(await reserve(callOf(runId, { model: 'unknown' })), { decision: 'refused' }, 'nobody could raise it enough');
});

t.test('a paused run is told when there is room for it, the one that waits longest first', async (t) => {
  const [alice, bob] = [randomUUID(), randomUUID()];
  const [first, second] = [await claimedRun({ principalId: alice }), await claimedRun({ principalId: alice })];
  const ofBob = await claimedRun({ principalId: bob });
  await set({ period: 'day', maxTokens: 999, atLimit: 'pause' });
  for (const run of [first, second, ofBob])
    t.match(await reserve(callOf(run)), { decision: 'pause', budget: { subject: '' } });
  t.match(await listBudgets(sql), [{ pausedRuns: 3 }]);
  t.same(await resumePausedRuns(sql, 10), []);

  await set({ subject: alice, period: 'day', maxTokens: 1_500, atLimit: 'pause' });
  t.match(await listBudgets(sql), [{ pausedRuns: 1 }, { pausedRuns: 2 }]);
  t.same(await resumePausedRuns(sql, 10), [], 'it did not sleep yet: nothing to deliver');
  t.match(await readInbox(sql, first), { seen: 1, entries: [{ kind: 'signal', name: budgetSignal }] });
  t.match([await readInbox(sql, second), await readInbox(sql, ofBob)], [{ seen: 0 }, { seen: 0 }]);
  const call = callOf(first);
  t.match(await reserve(call), { decision: 'granted' });

  await resumePausedRuns(sql, 10);
  t.match(await readInbox(sql, second), { seen: 0 }, 'no room beside the first');
  await sql`UPDATE run_live SET state = 'waiting', owner = NULL WHERE id = ${second}`;
  await settle([{ reservation: call.id, inputTokens: 100, outputTokens: 100 }]);
  t.match(await resumePausedRuns(sql, 10), [{ runId: second, queue: 'workflows', dispatch: 1 }], 'settled for less');
  await sql`UPDATE model_spending SET day = day - 1`;
  await deleteBudget(sql, { level: 'principal', subject: '', period: 'day' });
  await resumePausedRuns(sql, 10);
  t.match(await readInbox(sql, ofBob), { seen: 1 }, 'without a budget nothing has to wait');
  t.equal((await sql`SELECT FROM budget_pauses`).length, 0);
});

t.test('a day and a month that are over count no more, a total always', async (t) => {
  const principalId = randomUUID();
  const runId = await claimedRun({ principalId });
  const early = callOf(runId);
  await reserve(early);
  await sql`UPDATE model_spending SET day = day - 40 WHERE subject = ${principalId}`;
  await sql`UPDATE model_calls SET day = day - 40 WHERE id = ${early.id}`;
  await sql`UPDATE model_usage SET day = day - 40 WHERE principal_id = ${principalId}`;
  await set({ subject: principalId, period: 'day', maxTokens: 1_000 });
  await set({ subject: principalId, period: 'month', maxTokens: 1_000 });
  await set({ subject: principalId, period: 'total', maxTokens: 10_000 });
  t.match(await listBudgets(sql), [{ spentTokens: 0 }, { spentTokens: 0 }, { spentTokens: 1_000 }]);
  t.match(await reserve(callOf(runId)), { decision: 'granted' });
  t.match(await reserve(callOf(runId)), { decision: 'refused', budget: { period: 'month' } });
  await settle([{ reservation: early.id, inputTokens: 0, outputTokens: 0 }]);
  t.match(await listBudgets(sql), [{ spentTokens: 1_000 }, { spentTokens: 1_000 }, { spentTokens: 1_000 }]);
  t.match(await readUsage(sql, { by: 'day', principalId, limit: 9 }), [{ calls: 1 }, { calls: 1, inputTokens: 0 }]);
});

t.test("a worker's role reserves and settles, and touches no budget, counter or call", async (t) => {
  const runId = await claimedRun();
  const call = callOf(runId);
  await sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE flowstate_worker`;
    t.match(await reserveModelCalls(tx, owner, [call], prices), [{ decision: 'granted' }]);
    t.equal(await settle([{ reservation: call.id, inputTokens: 1, outputTokens: 1 }], owner, tx), 1);
  });
  for (const table of ['budgets', 'model_spending', 'model_calls', 'model_usage', 'budget_pauses']) {
    const [may] = await sql`
      SELECT has_table_privilege('flowstate_worker', ${table}, 'SELECT, INSERT, UPDATE, DELETE') AS worker`;
    t.equal(may?.['worker'], false, table);
  }
});
