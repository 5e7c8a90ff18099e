import { randomUUID } from 'node:crypto';
import { readEvents, readSteps, retryRuns, sendSignal } from '@flowstate/store';
import { createTestDatabase, scripted } from '@flowstate/test';
import type { PlannedCall, SpendingDecision, SpendingPort } from '@flowstate/workflow';
import t from 'tap';
import { askingRun, lookAt, priceTool } from './fixtures/asking-run.ts';

const { sql } = await createTestDatabase(t);
const done = { json: { total: 3 } };

t.test('what a further try may mend is tried again, each try on record', async (t) => {
  const faults = [{ status: 500 }, { text: 'half', cut: true }, { text: 'half', garbled: true }];
  const { server, id, toEnd } = await askingRun(t, sql, scripted([...faults, done]));
  t.match(await toEnd(), { state: 'completed', output: { total: 3 } });
  const events = await readEvents(sql, id);
  t.match(
    events.filter(({ type }) => type === 'step.failed').map(({ data }) => data),
    [
      { attempt: 1, error: { code: 'unavailable', message: /failed \(500\)/ } },
      { attempt: 2, error: { code: 'unavailable', message: /cut off/ } },
      { attempt: 3, error: { code: 'upstream_failed', message: /no answer/ } },
    ],
  );
  const keys = server.requests.map(({ headers }) => headers['idempotency-key']);
  t.equal(new Set(keys).size, 4, 'a failed try is over: the next one is another call');
});

t.test('a long Retry-After is slept through without a worker', async (t) => {
  const { server, id, begin } = await askingRun(t, sql, scripted([{ status: 429, retryAfter: '30' }, done]));
  t.match(await (await begin()).done, { state: 'waiting' });
  const waiting = (await readEvents(sql, id)).find(({ type }) => type === 'run.waiting');
  const inMs = Date.parse(waiting?.data.until as string) - Date.parse(waiting?.at ?? '');
  t.ok(inMs > 25_000 && inMs <= 30_000, `for ${inMs} ms`);
  t.equal(server.requests.length, 1);
});

t.test('another model takes over, at once, whatever is the matter with the first', async (t) => {
  for (const fault of [{ status: 503, retryAfter: '600' }, { status: 404 }, { status: 429, retryAfter: '600' }]) {
    const { server, id, begin } = await askingRun(t, sql, scripted([fault, done]), { models: ['first', 'second'] });
    t.match(await (await begin()).done, { state: 'completed' });
    t.same(
      server.requests.map(({ body }) => body.model),
      ['first', 'second'],
    );
    t.match(await readSteps(sql, id), [{ name: 'adder/model#1', output: { model: 'second' } }]);
  }
});

t.test('a refusal ends it with its code and step; retried, the same question is asked again', async (t) => {
  const { server, id, begin } = await askingRun(t, sql, scripted([{ status: 401 }, done]));
  t.match(await (await begin()).done, {
    state: 'failed',
    error: { code: 'upstream_failed', step: 'adder/model#1', message: /refused our key/ },
  });
  await retryRuns(sql, [id], 'tester');
  t.match(await (await begin()).done, { state: 'completed', output: { total: 3 } });
  t.equal(server.requests.length, 2);
});

t.test('an answer withheld by the provider is an error at once', async (t) => {
  const { begin } = await askingRun(t, sql, scripted({ text: 'no', finish: 'content_filter' }));
  t.match(await (await begin()).done, {
    state: 'failed',
    error: { code: 'upstream_failed', message: /refused to answer/ },
  });
});

/** A policy that answers as it is told, in turn. */
function policy(...decisions: SpendingDecision[]): SpendingPort & { asked: PlannedCall[] } {
  const asked: PlannedCall[] = [];
  return {
    asked,
    async reserve(call) {
      asked.push(call);
      return decisions.shift() ?? { decision: 'granted', model: call.model, reservation: `r${asked.length}` };
    },
  };
}

t.test(
  'every call is paid for in advance: granted, with a cheaper model, and settled with the reservation on record',
  async (t) => {
    const spending = policy({ decision: 'granted', model: 'cheap', reservation: 'r1' });
    const { server, id, toEnd } = await askingRun(t, sql, scripted(lookAt('abc'), [{ status: 500 }, done]));
    t.match(await toEnd({ spending }), { state: 'completed' });
    t.same(
      server.requests.map(({ body }) => body.model),
      ['cheap', 'm', 'm'],
    );
    t.match(spending.asked, [
      { runId: id, workflow: /^ask/, step: 'adder/model#1', attempt: 1, model: 'm', maxOutputTokens: 2048 },
      { step: 'adder/model#2', attempt: 1 },
      { step: 'adder/model#2', attempt: 2 },
    ]);
    t.ok(spending.asked.every(({ inputTokens }) => inputTokens > 50));
    t.match(await readSteps(sql, id), [
      { name: 'adder/model#1', output: { model: 'cheap', usage: { inputTokens: 100, outputTokens: 20 } } },
      {},
      { name: 'adder/model#2', output: { model: 'm' } },
    ]);
    const settled = (await readEvents(sql, id)).flatMap(({ data }) => data.settled ?? []);
    t.match(settled, [
      { reservation: 'r1', inputTokens: 100, outputTokens: 20 },
      { reservation: 'r2', inputTokens: 0, outputTokens: 0 },
      { reservation: 'r3' },
    ]);
  },
);

t.test(
  'at a cap the run waits for a person, sleeps out a rate, or fails clearly; the provider is not asked',
  async (t) => {
    const spending = policy({ decision: 'pause', cap: 'team' }, { decision: 'later', afterMs: 20 });
    const paused = await askingRun(t, sql, scripted(done));
    t.match(await (await paused.begin({ spending })).done, { state: 'waiting' });
    t.equal(paused.server.requests.length, 0);
    t.match(await readSteps(sql, paused.id), [{ output: { held: 'budget', cap: 'team' } }]);
    await sendSignal(sql, { runId: paused.id, name: 'budget', data: null, principalId: randomUUID() });
    t.match(await (await paused.begin({ spending })).done, { state: 'completed', output: { total: 3 } });
    t.same(
      spending.asked.map(({ step }) => step),
      ['adder/model#1', 'adder/model#2', 'adder/model#3'],
    );

    const refused = await askingRun(t, sql, scripted(done));
    const none = policy({ decision: 'refused', cap: 'run', detail: '0 of 0 tokens left' });
    t.match(await (await refused.begin({ spending: none })).done, {
      state: 'failed',
      error: { code: 'budget_exhausted', message: 'run: 0 of 0 tokens left' },
    });
    t.equal(refused.server.requests.length, 0);
  },
);

t.test('a tool that failed for good does not keep a failed run from being retried', async (t) => {
  const tools = [priceTool({ run: () => Promise.reject(new Error('broken')) })];
  const { begin, id, server } = await askingRun(t, sql, scripted(lookAt('abc'), [{ status: 401 }, done]), {
    agent: { tools },
  });
  t.match(await (await begin()).done, { state: 'failed' });
  await retryRuns(sql, [id], 'tester');
  t.match(await (await begin()).done, { state: 'completed', output: { total: 3 } });
  t.equal(server.requests.length, 3);
});
