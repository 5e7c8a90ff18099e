import { randomUUID } from 'node:crypto';
import {
  cancelRuns,
  claimRuns,
  createSql,
  finishRuns,
  forkRun,
  handOver,
  listWorkflows,
  readEvents,
  readRun,
  registerWorker,
  sendSignal,
  wakeDueRuns,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Backend, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { v7 as uuidv7 } from 'uuid';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

t.setTimeout(60_000);
const { sql, url } = await createTestDatabase(t);
const anything = { input: Type.Unknown(), output: Type.Unknown() };
type Run = Parameters<typeof defineWorkflow<typeof anything.input, typeof anything.output>>[1];
let count = 0;

function define(run: Run, options: Partial<Workflow> = {}): Workflow {
  count += 1;
  return defineWorkflow({ name: `w${count}`, version: '1', description: '', ...anything, ...options }, run) as Workflow;
}
const stateOf = async (id: string) => (await readRun(sql, id))?.state;

t.test('a long sleep frees the worker; when its time has come another one goes on behind it', async (t) => {
  const calls: string[] = [];
  const workflow = define(async (ctx) => {
    await ctx.step('before', () => calls.push('before'));
    await ctx.sleep(3_600_000);
    await ctx.step('after', () => calls.push('after'));
    return 'awake';
  });
  const id = await acceptRun(sql, workflow);
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' });
  t.equal(await stateOf(id), 'waiting');
  t.equal(await wakeDueRuns(sql, 10), 0, 'not before its time');

  await sql`UPDATE run_live SET wake_at = now() WHERE id = ${id}`;
  t.equal(await wakeDueRuns(sql, 10), 1);
  t.match(await handOver(sql, [{ id, capped: false }]), [{ runId: id, dispatch: 1 }]);
  const later = () => Date.now() + 3_600_001;
  t.same(await (await beginRun(sql, workflow, id, { now: later })).done, { state: 'completed', output: 'awake' });
  t.same(calls, ['before', 'after']);
});

t.test('woken before its time it sleeps on, for what is left', async (t) => {
  const workflow = define(async (ctx) => {
    await ctx.sleep(60_000);
    return 'done';
  });
  const id = await acceptRun(sql, workflow);
  await (
    await beginRun(sql, workflow, id)
  ).done;
  const [first] = await sql`SELECT wake_at FROM run_live WHERE id = ${id}`;
  await sql`UPDATE run_live SET state = 'queued', wake_at = NULL WHERE id = ${id}`;
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' });
  t.match(await sql`SELECT wake_at FROM run_live WHERE id = ${id}`, [{ wake_at: first?.wake_at }]);
});

t.test('a wait that is just long enough to leave for has its time on record, or is waited for here', async (t) => {
  let left = 0;
  for (const late of [0, 1, 2, 3, 4, 5, 6, 7, 8, 60_000]) {
    // A clock that moves at every look: whatever looks at it twice sees the wait from both sides of the second.
    let ticks = 0;
    const now = () => Date.now() + ticks++;
    const workflow = define(async (ctx) => {
      await ctx.sleep(1_000 + late);
      return 'awake';
    });
    const id = await acceptRun(sql, workflow);
    const { state } = await (await beginRun(sql, workflow, id, { now })).done;
    if (state === 'completed') continue; // it stayed
    left += 1;
    t.equal(state, 'waiting');
    const [row] = await sql<{ wake_at: Date | null }[]>`SELECT wake_at FROM run_live WHERE id = ${id}`;
    t.ok(row?.wake_at instanceof Date, `left with ${late} ms more than a second to go: ${String(row?.wake_at)}`);
  }
  t.ok(left > 0);
});

t.test('a signal wakes a waiting run, once, with its data and its sender', async (t) => {
  const workflow = define(async (ctx) => ctx.waitForSignal('go'));
  const id = await acceptRun(sql, workflow);
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' });
  const by = randomUUID();
  const sent = await sendSignal(sql, { runId: id, name: 'go', data: { n: 1 }, principalId: by });
  t.match(sent, { delivery: { runId: id, dispatch: 1 } });
  t.equal(await stateOf(id), 'queued');
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: { data: { n: 1 }, by } });
  t.equal(await sendSignal(sql, { runId: id, name: 'go', data: null, principalId: by }), null, 'over is over');
});

t.test('signals sent before anybody waits are kept, and given out in order', async (t) => {
  const workflow = define(async (ctx) => {
    const first = await ctx.waitForSignal('item');
    const second = await ctx.waitForSignal('item');
    return [first?.data, second?.data];
  });
  const id = await acceptRun(sql, workflow);
  for (const data of ['one', 'two'])
    await sendSignal(sql, { runId: id, name: 'item', data, principalId: randomUUID() });
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: ['one', 'two'] });
});

t.test('a signal that comes while the run falls asleep is not lost', async (t) => {
  const gate = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => {
    await ctx.step('busy', () => gate.promise.then(() => 1));
    return (await ctx.waitForSignal('go'))?.data;
  });
  const id = await acceptRun(sql, workflow);
  const { done } = await beginRun(sql, workflow, id);
  // Sent in a transaction that commits only once the run waits for the row's lock on its way to sleep.
  const sender = createSql(url, { name: 'sender', max: 1 });
  t.teardown(() => sender.end());
  await sender.begin(async (tx) => {
    await sendSignal(tx, { runId: id, name: 'go', data: 'heard', principalId: randomUUID() });
    gate.resolve();
    while (
      (await sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
        .length === 0
    );
  });
  t.same(await done, { state: 'completed', output: 'heard' });
});

t.test('a wait that times out answers null; news of something else leave it alone', async (t) => {
  const workflow = define(async (ctx) => ctx.waitForSignal('never', { timeoutMs: 30 }));
  const id = await acceptRun(sql, workflow);
  await sendSignal(sql, { runId: id, name: 'other', data: 1, principalId: randomUUID() });
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: null });
});

t.test(
  'whoever reads a fork from its first moment misses no event: its start follows what it begins with',
  async (t) => {
    const workflow = define(async (ctx) => {
      for (const name of ['first', 'second', 'third']) await ctx.step(name, () => null);
    });
    const [runId, id] = [await acceptRun(sql, workflow), uuidv7()];
    await (
      await beginRun(sql, workflow, runId)
    ).done;
    await forkRun(sql, { runId, fromStep: 'third', id, principalId: randomUUID(), role: 'agent' });
    const history = async () => (await readEvents(sql, id)).map(({ seq, type, data }) => [seq, type, data.name]);
    const begun = [
      [1, 'run.accepted', undefined],
      [2, 'step.completed', 'first'],
      [3, 'step.completed', 'second'],
    ];
    t.same(await history(), begun, 'while it is queued');
    t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed' });
    const rest = [
      [4, 'run.started', undefined],
      [5, 'step.completed', 'third'],
      [6, 'run.completed', undefined],
    ];
    t.same(await history(), [...begun, ...rest]);

    const other = uuidv7();
    await forkRun(sql, { runId: id, fromStep: 'second', id: other, principalId: randomUUID(), role: 'agent' });
    await cancelRuns(sql, [other]);
    t.match(await readEvents(sql, other), [{ seq: 1 }, { seq: 2 }, { seq: 3, type: 'run.cancelled' }]);
  },
);

t.test('an approval is for one run: nobody forks from behind it', async (t) => {
  const paid: string[] = [];
  const workflow = define(async (ctx) => {
    await ctx.step('before', () => null);
    await ctx.waitForSignal('approve', { approval: true });
    await ctx.step('pay', ({ idempotencyKey }) => void paid.push(idempotencyKey), { effect: 'keyed' });
  });
  const owner = randomUUID();
  const id = await acceptRun(sql, workflow, {}, { principalId: owner });
  await (
    await beginRun(sql, workflow, id)
  ).done;
  await sendSignal(sql, { runId: id, name: 'approve', data: 'yes', principalId: randomUUID() });
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed' });
  const forkFrom = async (fromStep: string) =>
    forkRun(sql, { runId: id, fromStep, id: uuidv7(), principalId: owner, role: 'agent' });
  await t.rejects(forkFrom('pay'), { code: 'conflict', message: /for that run alone/ });
  const forked = (await forkFrom('before')) ?? '';
  t.same(await (await beginRun(sql, workflow, forked)).done, { state: 'waiting' }, 'it asks again');
  t.equal(paid.length, 1);
});

t.test('nobody approves a run of their own, and no run approves any', async (t) => {
  const owner = randomUUID();
  const workflow = define(async (ctx) => (await ctx.waitForSignal('approve', { approval: true }))?.data);
  const id = await acceptRun(sql, workflow, {}, { principalId: owner });
  await sendSignal(sql, { runId: id, name: 'approve', data: 'by me', principalId: owner });
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' }, 'sent ahead of the question, too');
  const byRun = randomUUID();
  await sendSignal(sql, { runId: id, name: 'approve', data: 'by a run', principalId: randomUUID(), byRun });
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' }, 'in the name of somebody who may');
  await sendSignal(sql, { runId: id, name: 'approve', data: 'by another', principalId: randomUUID() });
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: 'by another' });
});

t.test('a busy run hears of a signal by its inbox counter and does not sleep', async (t) => {
  const gate = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => {
    const [signal] = await ctx.all([ctx.waitForSignal('go'), ctx.step('busy', () => gate.promise.then(() => 1))]);
    return signal?.data;
  });
  const id = await acceptRun(sql, workflow);
  const execution = await beginRun(sql, workflow, id);
  await sendSignal(sql, { runId: id, name: 'go', data: 'heard', principalId: randomUUID() });
  execution.news(1);
  await recorded(id, 'wait.ended');
  gate.resolve();
  t.same(await execution.done, { state: 'completed', output: 'heard' });
});

t.test('a cancel reaches a waiting run at once, and one that is about to wait', async (t) => {
  const workflow = define(async (ctx) => ctx.waitForSignal('never'));
  const id = await acceptRun(sql, workflow);
  await (
    await beginRun(sql, workflow, id)
  ).done;
  t.match(await cancelRuns(sql, [id]), { ended: [{ state: 'cancelled' }] });

  const gate = Promise.withResolvers<void>();
  const later = define(async (ctx) => {
    await ctx.step('busy', () => gate.promise.then(() => 1));
    await ctx.waitForSignal('never');
  });
  const other = await acceptRun(sql, later);
  const { done } = await beginRun(sql, later, other);
  t.match(await cancelRuns(sql, [other]), { requested: [other] });
  gate.resolve();
  t.same(await done, { state: 'cancelled' });
});

t.test('a run waits for its child without a worker and takes its output', async (t) => {
  const child = { name: 'child', output: Type.Object({ n: Type.Number() }) };
  const workflow = define(async (ctx) => {
    const { n } = await ctx.child(child, { from: 'parent' });
    return n + 1;
  });
  const parent = await acceptRun(sql, workflow);
  const childId = uuidv7();
  const started: unknown[] = [];
  // The far end of the two calls an engine makes: the gateway, without the HTTP between.
  const backend = (async ({ operation, body, idempotencyKey }: Parameters<Backend>[0]) => {
    if (operation === 'runs.read') return readRun(sql, childId);
    started.push(idempotencyKey);
    await acceptRun(sql, workflow, body, { id: childId, parentId: parent });
    return { id: childId };
  }) as Backend;
  t.same(await (await beginRun(sql, workflow, parent, { backend })).done, { state: 'waiting' });
  t.same(started, [`${parent}:child.start`]);

  const carries = (await listWorkflows(sql)).map(({ id }) => id);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries, concurrency: 1 });
  const [claimed] = await claimRuns(sql, me, carries, [childId]);
  t.equal(claimed?.parentId, parent);
  const end = {
    runId: childId,
    owner: me,
    chunk: 0,
    state: 'completed' as const,
    lastSeq: 3,
    events: '[]',
    error: null,
  };
  t.match(await finishRuns(sql, [{ ...end, output: '{"n":41}' }]), { woken: [{ runId: parent }] });
  t.same(await (await beginRun(sql, workflow, parent, { backend })).done, { state: 'completed', output: 42 });
  t.equal(started.length, 1, 'the child is started once');
});

t.test('a fork from behind the start of a child hears of its end, which is told to the forked run alone', async (t) => {
  const child = { name: 'child', output: Type.Unknown() };
  const waits = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => {
    const work = async () => {
      await ctx.step('early', () => waits.promise);
      await ctx.step('late', () => null);
    };
    const [output] = await ctx.all([ctx.child(child, {}), work()]);
    return output;
  });
  const parent = await acceptRun(sql, workflow);
  const childId = uuidv7();
  const backend = (async ({ operation, body }: Parameters<Backend>[0]) => {
    if (operation === 'runs.read') return readRun(sql, childId);
    await acceptRun(sql, workflow, body, { id: childId, parentId: parent });
    return { id: childId };
  }) as Backend;
  const publish = (news: unknown) => {
    if (Array.isArray(news) && news.some(({ type }) => type === 'wait.begun')) waits.resolve();
  };
  t.same(await (await beginRun(sql, workflow, parent, { backend, publish })).done, { state: 'waiting' });
  const fork = async () => {
    const id = uuidv7();
    await forkRun(sql, { runId: parent, fromStep: 'late', id, principalId: randomUUID(), role: 'manager' });
    return id;
  };
  await t.rejects(fork(), { code: 'conflict', message: /child run .* is not over/ });

  const carries = (await listWorkflows(sql)).map(({ id }) => id);
  const me = await registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries, concurrency: 1 });
  await claimRuns(sql, me, carries, [childId]);
  const end = { state: 'completed' as const, lastSeq: 3, events: '[]', output: '"grown"', error: null };
  await finishRuns(sql, [{ runId: childId, owner: me, chunk: 0, ...end }]);
  const forked = await fork();
  t.same(await (await beginRun(sql, workflow, forked, { backend })).done, { state: 'completed', output: 'grown' });

  // Of the fork's own record the wait came after the step that is forked from.
  await sql`
    UPDATE run_journal j SET events = (
      SELECT json_agg(e ORDER BY n)::text FROM json_array_elements(j.events::json) WITH ORDINALITY AS x(e, n)
      WHERE e->>'type' <> 'wait.begun'
    ) WHERE run_id = ${forked} AND events LIKE '%wait.begun%'`;
  const again = uuidv7();
  await forkRun(sql, { runId: forked, fromStep: 'late', id: again, principalId: randomUUID(), role: 'manager' });
  t.same(await (await beginRun(sql, workflow, again, { backend })).done, { state: 'completed', output: 'grown' });
});

t.test('branches see results in the same order on replay as when they came about', async (t) => {
  const orders: string[][] = [];
  const gates = { slow: Promise.withResolvers<void>(), end: Promise.withResolvers<void>() };
  let first = true;
  const workflow = define(async (ctx) => {
    const order: string[] = [];
    orders.push(order);
    const branch = async (name: string, gate?: Promise<void>) => {
      await ctx.step(name, () => gate?.then(() => name) ?? name);
      order.push(name);
      if (name === 'fast') gates.slow.resolve();
    };
    await ctx.all([branch('slow', gates.slow.promise), branch('fast')]);
    await ctx.step('end', () => {
      if (first) return new Promise<string>(() => {});
      return 'end';
    });
    return order;
  });
  const id = await acceptRun(sql, workflow);
  const dying = await beginRun(sql, workflow, id);
  await recorded(id, 'step.completed', 2);
  dying.lose();
  await dying.done;
  await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  first = false;
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: ['fast', 'slow'] });
  t.same(orders, [
    ['fast', 'slow'],
    ['fast', 'slow'],
  ]);
});

t.test('a race is won by the same branch on every replay', async (t) => {
  let hang = true;
  const workflow = define(async (ctx) => {
    const winner = await ctx.race([ctx.step('a', () => 'a'), ctx.waitForSignal('b').then(() => 'b')]);
    await ctx.step('after', () => (hang ? new Promise<string>(() => {}) : 'x'));
    return winner;
  });
  const id = await acceptRun(sql, workflow);
  const dying = await beginRun(sql, workflow, id);
  await recorded(id, 'value.recorded');
  dying.lose();
  await dying.done;
  await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  await sendSignal(sql, { runId: id, name: 'b', data: null, principalId: randomUUID() });
  hang = false;
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: 'a' });
});

t.test(
  'a map works through its items side by side, each step under its item, and no more at once than asked',
  async (t) => {
    let now = 0;
    let most = 0;
    const workflow = define(async (ctx) =>
      ctx.map(
        [1, 2, 3, 4, 5],
        async (n, scope) => {
          const doubled = await scope.step('double', async () => {
            most = Math.max(most, ++now);
            await new Promise(setImmediate);
            now -= 1;
            return n * 2;
          });
          return scope.step('add', () => doubled + 1);
        },
        { concurrency: 2 },
      ),
    );
    const id = await acceptRun(sql, workflow);
    t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: [3, 5, 7, 9, 11] });
    t.equal(most, 2);
    const names = new Set((await readEvents(sql, id)).map(({ data }) => data.name));
    t.ok(names.has('map#1[4]/double') && names.has('map#1[0]/add'));
  },
);

t.test('a run that fails goes on from its failed step as often as its policy allows', async (t) => {
  const calls: string[] = [];
  const workflow = define(
    async (ctx) => {
      await ctx.step('fine', () => calls.push('fine'));
      return ctx.step('flaky', () => {
        calls.push('flaky');
        if (calls.length < 4) throw new Error('not yet');
        return 'at last';
      });
    },
    { retry: { attempts: 2, backoffMs: 1 }, runRetry: { attempts: 2, backoffMs: 1 } },
  );
  const id = await acceptRun(sql, workflow);
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'postponed' });
  t.equal(await stateOf(id), 'queued');
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: 'at last' });
  t.same(calls, ['fine', 'flaky', 'flaky', 'flaky']);
});

t.test('once its tries are used up it is failed, with every try of the step', async (t) => {
  const workflow = define(
    (ctx) =>
      ctx.step('bad', ({ attempt }) => {
        throw new Error(`no ${attempt}`);
      }),
    { retry: { attempts: 3, backoffMs: 1 } },
  );
  const id = await acceptRun(sql, workflow);
  t.match(await (await beginRun(sql, workflow, id)).done, {
    state: 'failed',
    error: { step: 'bad', message: 'no 3', attempts: [{ message: 'no 1' }, { message: 'no 2' }, { message: 'no 3' }] },
  });
});

t.test('a step that failed for good and was caught is not tried again on replay', async (t) => {
  let tries = 0;
  let hang = true;
  const workflow = define(
    async (ctx) => {
      const caught = await ctx
        .step('bad', () => {
          tries += 1;
          throw new Error('no');
        })
        .catch((error: Error) => error.message);
      await ctx.step('hold', () => (hang ? new Promise<string>(() => {}) : 'x'));
      return caught;
    },
    { retry: { attempts: 1 } },
  );
  const id = await acceptRun(sql, workflow);
  const dying = await beginRun(sql, workflow, id);
  await recorded(id, 'step.failed');
  dying.lose();
  await dying.done;
  await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  hang = false;
  t.match(await (await beginRun(sql, workflow, id)).done, { state: 'completed', output: /bad failed: no/ });
  t.equal(tries, 1);
});

t.test('code that no longer asks for what is on record does nothing new', async (t) => {
  let changed = false;
  let effects = 0;
  const workflow = define(async (ctx) => {
    if (!changed) await ctx.step('old', () => 1);
    await ctx.step('effect', () => {
      effects += 1;
      return changed ? 1 : new Promise<number>(() => {});
    });
  });
  const id = await acceptRun(sql, workflow);
  const dying = await beginRun(sql, workflow, id);
  await recorded(id, 'step.completed');
  dying.lose();
  await dying.done;
  await sql`UPDATE run_live SET owner = NULL, state = 'queued' WHERE id = ${id}`;
  changed = true;
  const before = effects;
  t.match(await (await beginRun(sql, workflow, id)).done, {
    state: 'failed',
    error: { code: 'non_deterministic', message: /old/ },
  });
  t.equal(effects, before);
});

t.test('a run has a time of its own, counted from its start, waiting included', async (t) => {
  const workflow = define(async (ctx) => ctx.waitForSignal('never'), { timeoutMs: 60_000 });
  const id = await acceptRun(sql, workflow);
  t.same(await (await beginRun(sql, workflow, id)).done, { state: 'waiting' });
  const [row] = await sql`SELECT round(extract(epoch FROM wake_at - started_at)) AS due FROM run_live WHERE id = ${id}`;
  t.match(row, { due: 60 });
  await sql`UPDATE run_live SET wake_at = now() WHERE id = ${id}`;
  await wakeDueRuns(sql, 10);
  const later = () => Date.now() + 60_001;
  t.match(await (await beginRun(sql, workflow, id, { now: later })).done, {
    state: 'failed',
    error: { code: 'timeout' },
  });
});

/** Resolves once so many events of a type are in the ledger. */
async function recorded(id: string, type: string, times = 1): Promise<void> {
  while ((await readEvents(sql, id)).filter((event) => event.type === type).length < times);
}
