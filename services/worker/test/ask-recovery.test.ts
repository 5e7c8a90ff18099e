import { handBackRun, readEvents, readSteps } from '@flowstate/store';
import { createTestDatabase, scripted, type ModelServer } from '@flowstate/test';
import t, { type Test } from 'tap';
import { askingRun, lookAt, priceTool } from './fixtures/asking-run.ts';

const { sql } = await createTestDatabase(t);

// Six calls of the model, five of tools: one asks for two at once, one for an effect.
const turns = [
  lookAt('a'),
  {
    calls: [
      { tool: 'price', input: { order: 'bb' } },
      { tool: 'price', input: { order: 'ccc' } },
    ],
  },
  { calls: [{ tool: 'book', input: { order: 'dddd' } }] },
  lookAt('eeeee'),
  { text: 'not JSON' },
  { json: { total: 15 } },
];
const points = [
  'model#1',
  'tool#1.1',
  'model#2',
  'tool#2.1',
  'tool#2.2',
  'model#3',
  'tool#3.1',
  'model#4',
  'tool#4.1',
  'model#5',
  'model#6',
];

type Booking = { key: string; order: unknown };

/** The run, with tools that can be stopped in their tracks. */
async function sixCalls(t: Test) {
  const bookings: Booking[] = [];
  const reached = new Map<string, PromiseWithResolvers<void>>();
  const stopped = new Set<string>();
  /** Comes to where a tool is in the middle of its work. */
  async function pass(key: string, signal: AbortSignal): Promise<void> {
    const step = key.slice(key.indexOf('/') + 1);
    if (!stopped.delete(step)) return;
    reached.get(step)?.resolve();
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
  const tools = [
    priceTool({
      async run({ idempotencyKey, signal }, input) {
        await pass(idempotencyKey, signal);
        return { price: (input as { order: string }).order.length };
      },
    }),
    priceTool({
      name: 'book',
      effect: 'keyed',
      async run({ idempotencyKey: key, signal }, input) {
        bookings.push({ key, order: input });
        await pass(key, signal);
        return { price: 4 };
      },
    }),
  ];
  const asking = await askingRun(t, sql, scripted(...turns), { agent: { tools } });
  return {
    ...asking,
    bookings,
    /** Makes the run come to a stand in that call; resolves when it has. */
    stopIn(step: string): Promise<unknown> {
      if (step.startsWith('model')) {
        const turn = Number(step.split('#')[1]) - 1;
        asking.server.hold(turn);
        return asking.server.asked(turn);
      }
      stopped.add(step);
      const waiting = Promise.withResolvers<void>();
      reached.set(step, waiting);
      return waiting.promise;
    },
  };
}

const stepsOf = async (id: string) => (await readSteps(sql, id)).map(({ name, output }) => ({ name, output }));
const bodiesOf = (server: ModelServer) => server.requests.map(({ body }) => JSON.stringify(body.messages));

t.test('a worker lost at any point of an agent run of six calls changes nothing of it', async (t) => {
  const calm = await sixCalls(t);
  t.match(await (await calm.begin()).done, { state: 'completed', output: { total: 15 } });
  const undisturbed = await stepsOf(calm.id);
  t.equal(calm.server.requests.length, 6);

  for (const point of points) {
    await t.test(`in the middle of ${point}`, async (t) => {
      const run = await sixCalls(t);
      const there = run.stopIn(point);
      const dying = await run.begin();
      await there;
      dying.lose();
      await dying.done;
      const recorded = (await readEvents(sql, run.id))
        .filter(({ type }) => type === 'step.completed')
        .map(({ data }) => data.name);
      const askedBefore = bodiesOf(run.server);
      await handBackRun(sql, dying.me, run.id);
      run.server.release(Number(point.split('#')[1]) - 1);
      t.match(await (await run.begin()).done, { state: 'completed', output: { total: 15 } });
      t.same(await stepsOf(run.id), undisturbed, 'the same steps with the same results');
      const askedAfter = bodiesOf(run.server).slice(askedBefore.length);
      const answered = recorded.filter((name) => String(name).includes('/model#')).length;
      t.equal(answered, askedBefore.length - (point.startsWith('model') ? 1 : 0), 'what was answered is on record');
      t.notOk(
        askedAfter.some((body) => askedBefore.slice(0, answered).includes(body)),
        'and is not asked again',
      );
      t.equal(askedAfter.length, 6 - answered);
      t.same(run.server.violations, [], 'no call without its answer reached the provider');
      t.equal(
        new Set(run.bookings.map(({ key }) => key)).size,
        1,
        'the effect has one key, however often it was tried',
      );
    });
  }
});
