import { FlowstateError } from '@flowstate/contracts';
import { cancelRuns, handBackRun, readEvents, readRun, readSteps, resolveRun, retryRuns } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import { defineWorkflow, type Workflow } from '@flowstate/workflow';
import t from 'tap';
import Type from 'typebox';
import { acceptRun, beginRun } from './fixtures/begin-run.ts';

const { sql } = await createTestDatabase(t);
const anything = { input: Type.Unknown(), output: Type.Unknown() };

type Run = Parameters<typeof defineWorkflow<typeof anything.input, typeof anything.output>>[1];
let count = 0;

function define(run: Run, options: Partial<Workflow> = {}): Workflow {
  count += 1;
  return defineWorkflow({ name: `w${count}`, version: '1', description: '', ...anything, ...options }, run) as Workflow;
}

const accept = (workflow: Workflow, input: unknown = {}) => acceptRun(sql, workflow, input);
const begin = (workflow: Workflow, id: string) => beginRun(sql, workflow, id);

t.test('a run is worked step by step to its end, every step on record', async (t) => {
  const workflow = define(async (ctx, input) => {
    const a = await ctx.step('double', () => (input as { n: number }).n * 2);
    const [b, c] = await ctx.all([ctx.step('left', () => a + 1), ctx.step('right', () => a + 2)]);
    return { sum: b + c };
  });
  const id = await accept(workflow, { n: 20 });
  const { done } = await begin(workflow, id);
  t.same(await done, { state: 'completed', output: { sum: 83 } });
  t.match(await readRun(sql, id), { state: 'completed', output: { sum: 83 } });
  t.same(
    (await readSteps(sql, id)).map((s) => s.name),
    ['double', 'left', 'right'],
  );
});

t.test('a finished step never runs again, wherever the run goes on', async (t) => {
  const calls: string[] = [];
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let holdSecond = true;
  const workflow = define(async (ctx) => {
    const time = ctx.now().getTime();
    const dice = ctx.random();
    const first = await ctx.step('first', () => calls.push('first'), { effect: 'keyed' });
    await ctx.step('second', async () => {
      calls.push('second');
      reached.resolve();
      if (holdSecond) await gate.promise;
    });
    return { time, dice, first };
  });
  const id = await accept(workflow);
  const dying = await begin(workflow, id);
  await reached.promise;
  // The worker is lost in the middle of the second step; another one takes over.
  dying.lose();
  t.same(await dying.done, { state: 'lost' });
  const [before] = await sql<{ chunk: number }[]>`SELECT chunk FROM run_live WHERE id = ${id}`;
  t.ok((before?.chunk ?? 0) > 0, 'the first step is in the ledger');
  await handBackRun(sql, dying.me, id);
  holdSecond = false;
  const outcome = await (await begin(workflow, id)).done;
  t.same(calls, ['first', 'second', 'second']);
  const recorded = (await readEvents(sql, id)).filter((e) => e.type === 'value.recorded').map((e) => e.data.value);
  t.match(outcome, { state: 'completed', output: { time: recorded[0], dice: recorded[1], first: 1 } });
  const seqs = (await readEvents(sql, id)).map((e) => e.seq);
  t.same(
    seqs,
    seqs.map((_, index) => index + 1),
    'numbered without gaps across owners',
  );
});

t.test('tries are repeated with backoff, then the run fails with step, code and stack', async (t) => {
  let tries = 0;
  const workflow = define(
    async (ctx) =>
      ctx.step('flaky', ({ attempt }) => {
        tries += 1;
        throw new Error(`no luck ${attempt}`);
      }),
    { retry: { attempts: 3, backoffMs: 1 } },
  );
  const id = await accept(workflow);
  t.match(await (await begin(workflow, id)).done, {
    state: 'failed',
    error: { code: 'step_error', step: 'flaky', message: 'no luck 3' },
  });
  t.equal(tries, 3);
  t.match(await readRun(sql, id), { state: 'failed', error: { message: 'no luck 3', stack: /durable-run\.test/ } });
  t.match(await readSteps(sql, id), [{ name: 'flaky', state: 'failed', attempt: 3 }]);
});

t.test('a refusal that cannot change is not tried again', async (t) => {
  let tries = 0;
  const workflow = define(async (ctx) =>
    ctx.step('refused', () => {
      tries += 1;
      throw new FlowstateError('not_found', 'no such thing');
    }),
  );
  const id = await accept(workflow);
  t.match(await (await begin(workflow, id)).done, { state: 'failed', error: { code: 'not_found' } });
  t.equal(tries, 1);
});

t.test('a retried run goes on from its failed step', async (t) => {
  let broken = true;
  const calls: string[] = [];
  const workflow = define(
    async (ctx) => {
      await ctx.step('good', () => calls.push('good'));
      return ctx.step('bad', () => {
        calls.push('bad');
        if (broken) throw new Error('broken');
        return 'mended';
      });
    },
    { retry: { attempts: 1 } },
  );
  const id = await accept(workflow);
  t.match(await (await begin(workflow, id)).done, { state: 'failed' });
  broken = false;
  await retryRuns(sql, [id], 'tester');
  t.same(await (await begin(workflow, id)).done, { state: 'completed', output: 'mended' });
  t.same(calls, ['good', 'bad', 'bad']);
  t.match(await readRun(sql, id), { attempt: 2, state: 'completed' });
});

t.test('an unsafe effect that may have happened parks the run instead of being repeated', async (t) => {
  let effects = 0;
  const inEffect = Promise.withResolvers<void>();
  const workflow = define(async (ctx) =>
    ctx.step(
      'pay',
      async () => {
        effects += 1;
        inEffect.resolve();
        await new Promise(() => {}); // the worker dies here
      },
      { effect: 'unsafe' },
    ),
  );
  const id = await accept(workflow);
  const dying = await begin(workflow, id);
  await inEffect.promise;
  dying.lose();
  await dying.done;
  await handBackRun(sql, dying.me, id);
  t.match(await (await begin(workflow, id)).done, { state: 'parked', reason: /pay may or may not/ });
  t.equal(effects, 1);
});

t.test('a keyed effect is repeated with the same key', async (t) => {
  const keys: string[] = [];
  let hang = true;
  const inEffect = Promise.withResolvers<void>();
  const workflow = define(async (ctx) =>
    ctx.step(
      'charge',
      async ({ idempotencyKey }) => {
        keys.push(idempotencyKey);
        inEffect.resolve();
        if (hang) await new Promise(() => {});
        return 'charged';
      },
      { effect: 'keyed' },
    ),
  );
  const id = await accept(workflow);
  const dying = await begin(workflow, id);
  await inEffect.promise;
  dying.lose();
  await dying.done;
  await handBackRun(sql, dying.me, id);
  hang = false;
  t.match(await (await begin(workflow, id)).done, { state: 'completed', output: 'charged' });
  t.equal(keys.length, 2);
  t.equal(keys[0], keys[1]);
});

t.test('cancel reaches the running step by its signal', async (t) => {
  const running = Promise.withResolvers<void>();
  let aborted = false;
  const workflow = define(async (ctx) =>
    ctx.step('long', ({ signal }) => {
      running.resolve();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(new Error('stopped'));
        });
      });
    }),
  );
  const id = await accept(workflow);
  const execution = await begin(workflow, id);
  await running.promise;
  t.match(await cancelRuns(sql, [id]), { ended: [], requested: [id] });
  execution.cancel();
  t.same(await execution.done, { state: 'cancelled' });
  t.ok(aborted);
  t.match(await readRun(sql, id), { state: 'cancelled' });
});

t.test('a draining run stops at its next step boundary, with the step under way on record', async (t) => {
  const calls: string[] = [];
  const running = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => {
    await ctx.step('one', async () => {
      calls.push('one');
      running.resolve();
      await gate.promise;
    });
    await ctx.step('two', () => calls.push('two'));
    return 'done';
  });
  const id = await accept(workflow);
  const leaving = await begin(workflow, id);
  await running.promise;
  leaving.drain();
  gate.resolve();
  t.same(await leaving.done, { state: 'draining' });
  await handBackRun(sql, leaving.me, id);
  t.same(await (await begin(workflow, id)).done, { state: 'completed', output: 'done' });
  t.same(calls, ['one', 'two']);
});

t.test('code that is not deterministic is caught and named', async (t) => {
  const twice = define(async (ctx) => {
    await ctx.step('same', () => 1);
    await ctx.step('same', () => 2);
  });
  t.match(await (await begin(twice, await accept(twice))).done, {
    state: 'failed',
    error: { code: 'non_deterministic', message: /same came twice/ },
  });

  let changed = false;
  const shifting = define(
    async (ctx) => {
      await ctx.step(changed ? 'new-name' : 'old-name', () => 1);
      return ctx.step('end', () => {
        if (!changed) throw new Error('first attempt');
        return 'x';
      });
    },
    { retry: { attempts: 1 } },
  );
  const id = await accept(shifting);
  await (
    await begin(shifting, id)
  ).done;
  await retryRuns(sql, [id], 'tester');
  changed = true;
  t.match(await (await begin(shifting, id)).done, {
    state: 'failed',
    error: { code: 'non_deterministic', message: /old-name/ },
  });
});

t.test('bad input, bad output and a result over its limit fail with a clear error', async (t) => {
  const typed = define(async () => ({ n: 'no number' }), { output: Type.Object({ n: Type.Number() }) });
  t.match(await (await begin(typed, await accept(typed))).done, {
    state: 'failed',
    error: { code: 'invalid_input', message: /output\.n must be number/ },
  });
  const huge = define(async (ctx) => ctx.step('huge', () => 'x'.repeat(9 * 1024 * 1024)));
  t.match(await (await begin(huge, await accept(huge))).done, {
    state: 'failed',
    error: { code: 'payload_too_large', step: 'huge' },
  });
});

t.test('a step that hangs is timed out and counted as failed', async (t) => {
  const workflow = define(async (ctx) =>
    ctx.step('hang', () => new Promise(() => {}), { timeoutMs: 20, retry: { attempts: 2, backoffMs: 1 } }),
  );
  const id = await accept(workflow);
  t.match(await (await begin(workflow, id)).done, { state: 'failed', error: { code: 'timeout', step: 'hang' } });
  t.match(await readSteps(sql, id), [{ attempt: 2 }]);
});

t.test(
  'a run whose owner died before it could cancel it is cancelled by the next one, with no step begun',
  async (t) => {
    const calls: string[] = [];
    const workflow = define(async (ctx) => ctx.step('one', () => calls.push('one')));
    const id = await accept(workflow);
    await sql`UPDATE run_live SET cancel = true WHERE id = ${id}`;
    t.same(await (await begin(workflow, id)).done, { state: 'cancelled' });
    t.same(calls, []);
    t.equal((await readEvents(sql, id)).at(-1)?.type, 'run.cancelled');
  },
);

t.test(
  'a cancel while an unsafe effect is under way parks the run: somebody must look whether it took place',
  async (t) => {
    const running = Promise.withResolvers<void>();
    const workflow = define(async (ctx) =>
      ctx.step(
        'pay',
        () => {
          running.resolve();
          return new Promise(() => {});
        },
        { effect: 'unsafe' },
      ),
    );
    const id = await accept(workflow);
    const execution = await begin(workflow, id);
    await running.promise;
    await cancelRuns(sql, [id]);
    execution.cancel();
    t.match(await execution.done, { state: 'parked', reason: /Cancelled while step pay may have taken effect/ });
    t.match(await readRun(sql, id), { state: 'parked', error: { step: 'pay' } });
    // The cancel has waited for that: nothing is done again, nor anything more.
    await resolveRun(sql, id, 'somebody', { outcome: 'not-happened' });
    t.match(await (await begin(workflow, id)).done, { state: 'cancelled' });

    // The same when its worker dies and the next owner finds both: the cancel, and the effect in doubt.
    const other = await accept(workflow);
    const dying = await begin(workflow, other);
    while (!(await readEvents(sql, other)).some(({ type }) => type === 'step.intended'));
    dying.lose();
    await dying.done;
    await sql`UPDATE run_live SET owner = NULL, state = 'queued', cancel = true WHERE id = ${other}`;
    t.match(await (await begin(workflow, other)).done, { state: 'parked', reason: /Cancelled while step pay/ });
  },
);

t.test(
  "an effect's result travels with the next one's intent, and is on record before anything else runs",
  async (t) => {
    const recorded = async () => (await readEvents(sql, id)).map(({ type, data }) => [type, data['name']]);
    let seen: unknown[] = [];
    const workflow = define(async (ctx) => {
      for (const name of ['one', 'two']) await ctx.step(name, () => name, { effect: 'keyed' });
      await ctx.step('look', async () => void (seen = await recorded()));
    });
    const id = await accept(workflow);
    const execution = await begin(workflow, id);
    t.match(await execution.done, { state: 'completed' });
    t.same(seen.slice(-4), [
      ['step.intended', 'one'],
      ['step.completed', 'one'],
      ['step.intended', 'two'],
      ['step.completed', 'two'],
    ]);
    const chunks = await sql<{ events: { type: string }[] }[]>`
    SELECT events::json AS events FROM run_journal WHERE run_id = ${id} ORDER BY chunk`;
    t.same(
      chunks.slice(0, 3).map(({ events }) => events.map(({ type }) => type)),
      [['step.intended'], ['step.completed', 'step.intended'], ['step.completed']],
    );
  },
);

t.test(
  'a cancel parks for the effect in doubt only: not for one whose result is known, and for any that is',
  async (t) => {
    const known = define(async (ctx) => {
      await ctx.step('pay', paid, { effect: 'unsafe' });
      await ctx.step('ship', () => {}, { effect: 'keyed' });
    });
    const id = await accept(known);
    const execution = await begin(known, id);
    function paid() {
      setImmediate(() => execution.cancel()); // its result is on its way to the ledger by then
      return 'paid';
    }
    t.match(await execution.done, { state: 'cancelled' });
    t.match(
      (await readEvents(sql, id)).find(({ type }) => type === 'step.completed'),
      { data: { name: 'pay', output: 'paid' } },
    );

    const quickDone = Promise.withResolvers<void>();
    const both = define(async (ctx) =>
      ctx.all([
        ctx.step('slow', () => new Promise(() => {}), { effect: 'unsafe' }),
        ctx.step('quick', () => 'done', { effect: 'unsafe' }).then(() => quickDone.resolve()),
      ]),
    );
    const other = await begin(both, await accept(both));
    await quickDone.promise;
    other.cancel();
    t.match(await other.done, { state: 'parked', reason: /Cancelled while step slow/ });
  },
);

t.test('watchers hear the end that is in the ledger: a cancel that came first', async (t) => {
  const gate = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => ctx.step('one', () => gate.promise.then(() => 1)));
  const id = await accept(workflow);
  const heard: string[] = [];
  const execution = await beginRun(sql, workflow, id, {
    publish: (news) => heard.push(...[news].flat().map(({ type }) => type)),
  });
  await cancelRuns(sql, [id]);
  gate.resolve();
  t.same(await execution.done, { state: 'cancelled' });
  t.equal(heard.at(-1), 'run.cancelled');
});

t.test('a worker that stood still begins no step before it knows whether its runs are still its own', async (t) => {
  const calls: string[] = [];
  const answer = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => ctx.step('one', () => calls.push('one')));
  const id = await accept(workflow);
  const execution = await beginRun(sql, workflow, id, { confirmed: () => answer.promise });
  execution.lose();
  answer.resolve();
  t.same(await execution.done, { state: 'lost' });
  t.same(calls, []);
});

t.test('nor an effect whose intent went on record before it stood still', async (t) => {
  const calls: string[] = [];
  let stoodStill = false;
  const answer = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const workflow = define(async (ctx) => ctx.step('pay', () => calls.push('pay'), { effect: 'keyed' }));
  const id = await accept(workflow);
  const execution = await beginRun(sql, workflow, id, {
    confirmed() {
      if (!stoodStill) return undefined;
      asked.resolve();
      return answer.promise;
    },
    publish: (news) => (stoodStill ||= [news].flat().some(({ type }) => type === 'step.intended')),
  });
  await Promise.race([asked.promise, execution.done]);
  execution.lose();
  answer.resolve();
  t.same(await execution.done, { state: 'lost' });
  t.same(calls, []);
});

t.test('a run parked over an effect in doubt is not ended by a cancel: the effect is settled first', async (t) => {
  const paying = Promise.withResolvers<void>();
  const pay = () => {
    paying.resolve();
    return new Promise(() => {});
  };
  const workflow = define(async (ctx) => ctx.step('pay', pay, { effect: 'unsafe' }));
  const id = await accept(workflow);
  const execution = await begin(workflow, id);
  await paying.promise; // intended and not begun, it would be no doubt
  execution.cancel();
  t.match(await execution.done, { state: 'parked' });
  t.match(await cancelRuns(sql, [id]), { ended: [], requested: [id] });
  t.match(await readRun(sql, id), { state: 'parked' });
  await resolveRun(sql, id, 'somebody', { outcome: 'happened', output: 'paid' });
  t.match(await (await begin(workflow, id)).done, { state: 'cancelled' });
  const types = (await readEvents(sql, id)).map(({ type }) => type);
  t.same(types.slice(-4), ['run.parked', 'run.resolved', 'run.resumed', 'run.cancelled']);
});
