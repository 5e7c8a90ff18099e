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
  const id = await start(manager, 'calm');
  const events = await Array.fromAsync(manager.events(id));
  t.match(events.at(-1), { event: 'run.completed' });
  const told = events
    .filter(({ event }) => event === 'progress')
    .map(({ data }) => (data as { data: { text: string } }).data);
  t.equal(told.map(({ text }) => text).join(''), '{"total":15,"words":"fifteen in all"}');
  t.same(askedFor('calm'), [0, 1, 2, 3, 4, 5]);
});

t.test(
  'SIGKILL in the middle of each of its eleven calls: the same run, and nothing on record is asked again',
  async (t) => {
    const calm = await stepsOf(
      (await manager.get<{ items: Run[] }>('/api/runs?workflow=adding-agent')).body.items[0]?.id ?? '',
    );
    t.equal(calm.length, 11);
    for (let turn = 0; turn < 6; turn++) provider.hold(turn);
    for (let order = 1; order < 6; order++) recorder.hold(`storm-${order}`);
    const id = await start(manager, 'storm');
    for (let turn = 0; turn < 6; turn++) {
      await provider.asked(turn, 2);
      await platform.worker.kill('SIGKILL');
      provider.release(turn);
      await platform.worker.restart();
      if (turn === 5) break;
      await recorder.called(`storm-${turn + 1}`); // so its model call is on record
      await platform.worker.kill('SIGKILL');
      recorder.release(`storm-${turn + 1}`);
      await platform.worker.restart();
    }
    const events = await Array.fromAsync(manager.events(id));
    t.match(events.at(-1), { event: 'run.completed' });
    t.same(await stepsOf(id), calm, 'the run equals the undisturbed one');
    t.same(askedFor('storm'), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], 'only what was under way was asked again');
    t.same(provider.violations, [], 'no call without its answer reached the provider');
    const keys = new Set(provider.requests.map(({ headers }) => headers['idempotency-key']));
    t.equal(keys.size, 12, 'asked again under the same key');
    t.notMatch(platform.worker.log.map((line) => JSON.stringify(line)).join('\n'), /sk-not-for-logs|fifteen in all/);
  },
);
