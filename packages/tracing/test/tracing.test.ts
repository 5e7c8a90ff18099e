import t from 'tap';
import {
  callModel,
  inRootSpan,
  inSpan,
  isSampled,
  isSpent,
  isTraceparent,
  keepAccount,
  spendOnBackend,
  type Spending,
} from '../src/index.ts';

t.test('only what the recommendation allows is a traceparent', async (t) => {
  const [trace, span] = ['a'.repeat(32), 'b'.repeat(16)];
  t.ok(isTraceparent(`00-${trace}-${span}-01`));
  for (const wrong of [
    '',
    `00-${trace}-${span}`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `ff-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
  ]) {
    t.notOk(isTraceparent(wrong), wrong);
  }
});

t.test('without telemetry work is only done, and what it throws comes out', async (t) => {
  t.equal(await inRootSpan('a', { parent: null }, async () => inSpan('b', {}, async () => isSampled())), false);
  await t.rejects(
    inRootSpan('a', { parent: 'no traceparent' }, async () => {
      throw new Error('thrown');
    }),
    { message: 'thrown' },
  );
});

t.test('an account has the calls of its own work, whatever runs beside it', async (t) => {
  const [one, other, none]: [Spending, Spending, Spending] = [{}, {}, {}];
  await Promise.all([
    keepAccount(one, async () => {
      await new Promise(setImmediate);
      spendOnBackend('customers.read', 1.23);
      spendOnBackend('customers.read', 2);
      await callModel({ operation: 'embeddings', provider: 'local', model: 'm' }, async (used) =>
        used({ inputTokens: 7 }),
      );
    }),
    keepAccount(other, async () => {
      await new Promise(setImmediate);
      await callModel({ operation: 'chat', provider: 'openai', model: 'm' }, async (used) =>
        used({ inputTokens: 1, outputTokens: 2, costUsd: 0.5 }),
      );
      await t.rejects(
        callModel({ operation: 'chat', provider: 'openai', model: 'm' }, () => Promise.reject(new Error('away'))),
      );
    }),
    keepAccount(none, async () => {}),
  ]);
  spendOnBackend('nobodys', 1);
  t.match(one, {
    backend: { 'customers.read': { calls: 2, ms: 3.2 } },
    models: { m: { calls: 1, inputTokens: 7, outputTokens: 0, costUsd: null } },
  });
  t.match(other, { models: { m: { calls: 2, inputTokens: 1, outputTokens: 2, costUsd: 0.5 } } });
  t.notOk(isSpent(none));
});
