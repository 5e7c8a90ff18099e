import { fileURLToPath } from 'node:url';
import { startModelServer, startPlatform, startRecorder, type Client } from '@flowstate/test';
import t from 'tap';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const provider = await startModelServer(t, here('../fixtures/model-scripts/six-calls.yaml'));
const platform = await startPlatform(t, {
  workflows: here('../fixtures/workflows/agent.ts'),
  env: { LLM_BASE_URL: provider.url, LLM_MODEL: 'm', LLM_API_KEY: 'sk-not-for-logs' },
});
const manager = await platform.as('manager');
const recorder = await startRecorder(t);

type Run = { id: string; state: string; output: unknown };
type Step = { name: string; effect: string; output: unknown };

async function start(client: Client, label: string): Promise<string> {
  const { body } = await client.post<Run>('/api/workflows/adding-agent/runs', {
    input: { recorder: recorder.url, label },
  });
  return body.id;
}

async function stepsOf(id: string): Promise<Step[]> {
  const { body } = await manager.get<{ items: Step[] }>(`/api/runs/${id}/steps`);
  return body.items.map(({ name, effect, output }) => ({ name, effect, output }));
}

/** What the provider was asked in that conversation, by the answers it held. */
const askedFor = (label: string) =>
  provider.requests
    .filter(({ body }) => body.messages.some(({ content }) => content === `The orders of ${label}`))
    .map(({ turn }) => turn);

t.test('an agent answers, and whoever watches reads along', async (t) => {
  const last = 5;
  provider.hold(last, 'calm');
  const events = [];
  for await (const event of manager.events(await start(manager, 'calm'))) {
    events.push(event);
    // What is told live is told to whoever listens by then.
    if (events.length === 1) provider.release(last, 'calm');
  }
  t.match(events.at(-1), { event: 'run.completed' });
  const told = events
    .filter(({ event }) => event === 'progress')
    .map(({ data }) => (data as { data: { text: string } }).data);
  t.equal(told.map(({ text }) => text).join(''), '{"total":15,"words":"fifteen in all"}');
  t.same(askedFor('calm'), [0, 1, 2, 3, 4, 5]);
});

t.test(
  'SIGKILL at each point of an agent run: it ends like the undisturbed one, and repeats nothing on record',
  async (t) => {
    const [first] = (await manager.get<{ items: Run[] }>('/api/runs?workflow=adding-agent')).body.items;
    const calm = await stepsOf(first?.id ?? '');
    t.equal(calm.length, 11, 'six calls of the model, five of its tool');

    // Eleven runs, each in the middle of another call when their worker dies.
    const inModel = Array.from({ length: 6 }, (_, turn) => ({ label: `model-${turn}`, turn }));
    const inTool = Array.from({ length: 5 }, (_, n) => ({ label: `tool-${n + 1}`, order: n + 1 }));
    for (const { label, turn } of inModel) provider.hold(turn, label);
    for (const { label, order } of inTool) recorder.hold(`${label}-${order}`);
    const labels = [...inModel, ...inTool].map(({ label }) => label);
    const runs = await Promise.all(labels.map(async (label) => ({ label, id: await start(manager, label) })));
    await Promise.all([
      ...inModel.map(({ label, turn }) => provider.asked(turn, 1, label)),
      ...inTool.map(({ label, order }) => recorder.called(`${label}-${order}`)),
    ]);
    t.same(await platform.worker.kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
    for (const { label, turn } of inModel) provider.release(turn, label);
    for (const { label, order } of inTool) recorder.release(`${label}-${order}`);
    await platform.worker.restart();

    for (const { label, id } of runs) {
      t.match((await Array.fromAsync(manager.events(id))).at(-1), { event: 'run.completed' }, label);
      t.same(await stepsOf(id), calm, 'the same steps with the same results');
    }
    const turns = [0, 1, 2, 3, 4, 5];
    for (const { label, turn } of inModel) {
      t.same(
        askedFor(label),
        [...turns, turn].toSorted((a, b) => a - b),
        'only what was under way was asked again',
      );
    }
    for (const { label, order } of inTool) {
      t.same(askedFor(label), turns, 'what led to the tool was on record');
      t.equal(recorder.calls.filter((call) => call === `${label}-${order}`).length, 2, 'the tool was under way');
    }
    t.same(provider.violations, [], 'no call without its answer reached the provider');
    const keys = new Set(provider.requests.map(({ headers }) => headers['idempotency-key']));
    t.equal(keys.size, 12 * 6, 'asked again under the same key');
    const [spent] = await platform.database.sql`
      SELECT count(*)::int AS calls, count(settled_at)::int AS settled FROM model_calls`;
    const expected = { calls: 12 * 6 + 6, settled: 12 * 6 };
    t.same(spent, expected, 'what is on record is settled, what was cut off counts as spent');
    t.notMatch(platform.worker.log.map((line) => JSON.stringify(line)).join('\n'), /sk-not-for-logs|fifteen in all/);
  },
);
