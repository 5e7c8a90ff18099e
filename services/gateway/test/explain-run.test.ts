import type { RunEvent } from '@flowstate/contracts';
import type { StoredRun } from '@flowstate/store';
import t from 'tap';
import { explainRun } from '../src/runs/explain/explain-run.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 31) + seconds * 1000).toISOString();
const event = (seconds: number, type: RunEvent['type'], data: Record<string, unknown> = {}): RunEvent => ({
  seq: 0,
  type,
  at: at(seconds),
  data,
});
const run = (finished: number | null) =>
  ({
    id: 'r',
    workflow: 'w',
    state: finished === null ? 'running' : 'completed',
    traceId: null,
    attempt: 1,
    createdAt: at(0),
    finishedAt: finished === null ? null : at(finished),
  }) as StoredRun;
const step = (name: string, from: number, to: number, more: Record<string, unknown> = {}) =>
  event(to, 'step.completed', { name, attempt: 1, startedAt: at(from), ...more });

t.test('the time of a run is divided, each moment counted once', async (t) => {
  const embedding = { calls: 2, ms: 300, inputTokens: 10, outputTokens: 0, costUsd: 0.01 };
  const explained = explainRun(
    run(30),
    [
      event(0, 'run.accepted'),
      event(5, 'run.started'),
      // Side by side: three seconds of steps, not five.
      step('a', 6, 9, { spent: { backend: { read: { calls: 3, ms: 1_200 } } } }),
      step('b', 7, 9, { spent: { backend: { read: { calls: 1, ms: 100.5 } }, models: { m: embedding } } }),
      event(10, 'wait.begun', { name: 'sleep#1' }),
      event(20, 'run.resumed'),
      event(20, 'wait.ended', { name: 'sleep#1' }),
      event(24, 'step.failed', { name: 'c', attempt: 1, startedAt: at(21), final: false }),
      // Its worker was killed; another has it after two seconds.
      event(26, 'run.resumed'),
      step('c', 27, 29, { attempt: 2, spent: { models: { m: { ...embedding, costUsd: null } } } }),
      event(30, 'run.completed'),
    ],
    0,
  );
  t.same(explained.time, { queue: 5_000, claim: 2_000, steps: 8_000, waits: 10_000, recovery: 2_000, engine: 3_000 });
  t.equal(explained.totalMs, 30_000);
  t.same(
    explained.steps.map(({ name, attempt, state, ms }) => `${name} ${attempt} ${state} ${ms}`),
    ['a 1 completed 3000', 'b 1 completed 2000', 'c 1 failed 3000', 'c 2 completed 2000'],
  );
  t.same(explained.backend, [{ operation: 'read', calls: 4, ms: 1_300.5 }]);
  t.match(explained.models, [{ model: 'm', calls: 4, ms: 600, inputTokens: 20, costUsd: 0.01 }]);
  t.equal(explained.costUsd, 0.01);
});

t.test('a run that goes on is explained until now; clocks that were set make nothing negative', async (t) => {
  const now = Date.parse(at(10));
  const waiting = explainRun(run(null), [event(0, 'run.accepted')], now);
  t.match(waiting, { totalMs: 10_000, time: { queue: 10_000 }, finishedAt: null, costUsd: null });
  const doubtful = explainRun(
    run(null),
    [
      event(0, 'run.accepted'),
      event(1, 'run.started'),
      event(2, 'step.intended', { name: 'pay', effect: 'unsafe', attempt: 1 }),
    ],
    now,
  );
  t.match(doubtful.steps, [{ name: 'pay', state: 'running', ms: 8_000 }]);
  const set = explainRun(
    run(3),
    [event(0, 'run.accepted'), event(2, 'run.started'), step('back', 3_600, 2.5), event(3, 'run.completed')],
    now,
  );
  t.ok(Object.values(set.time).every((ms) => ms >= 0));
  t.equal(
    Object.values(set.time).reduce((sum, ms) => sum + ms, 0),
    3_000,
  );
  t.equal(set.steps[0]?.ms, 0);
  t.equal(explainRun(run(-5), [event(0, 'run.accepted')], now).totalMs, 0);
});
