import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder, startWebhookReceiver, verifyWebhook } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows, env: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
const manager = await platform.as('manager');
const { webhookSecret } = platform.secrets;

type Run = { id: string; state: string };
type Webhook = { deliveries: { id: string; state: string; tries: number; log: { status: number | null }[] }[] };
type Payload = { type: string; data: Run & { error: unknown } };

/** What the gateway's chapter tells people to verify by. */
async function writtenVerify(): Promise<(secret: string, headers: object, body: string) => void> {
  const chapter = await readFile(new URL('../../services/gateway/README.md', import.meta.url), 'utf8');
  const code = /^## Webhooks.*?```js\n(.*?)```/ms.exec(chapter)?.[1] ?? '';
  const module = `data:text/javascript,${encodeURIComponent(`${code}\nexport { verify };`)}`;
  return ((await import(module)) as { verify: (secret: string, headers: object, body: string) => void }).verify;
}

t.test('completed, failed and cancelled runs are told, signed, in the words of the API', async (t) => {
  const receiver = await startWebhookReceiver(t);
  const recorder = await startRecorder(t);
  recorder.hold('step-1');
  const post = async (workflow: string, path: string, input: unknown) => {
    const { status, body } = await manager.post<Run>(`/api/workflows/${workflow}/runs`, {
      input,
      webhookUrl: `${receiver.url}${path}`,
    });
    t.equal(status, 202);
    return body.id;
  };
  const stopped = await post('recorded-steps', '/cancelled', { recorder: recorder.url, steps: 1 });
  await recorder.called(`${stopped}/step-1`);
  t.equal((await manager.post(`/api/runs/${stopped}/cancel`)).status, 202);
  const failed = await post('throwing', '/failed', { message: 'on purpose' });
  const free = await startRecorder(t);
  const completed = await post('recorded-steps', '/completed', { recorder: free.url, steps: 2 });

  for (const [state, id] of Object.entries({ cancelled: stopped, failed, completed })) {
    const [call] = await receiver.received(`/${state}`);
    if (call === undefined) throw new Error('not received');
    t.equal(call.headers['webhook-id'], `${id}.1`);
    const payload = verifyWebhook(webhookSecret, call) as Payload;
    t.match(payload, { type: `run.${state}`, data: { id, state } });
    const { body } = await manager.get<Run>(`/api/runs/${id}`);
    t.same(payload.data, body, 'the run as its owner reads it');
  }
  recorder.release('step-1');

  const verify = await writtenVerify();
  for (const { headers, body } of receiver.calls) {
    t.doesNotThrow(() => verify(webhookSecret, headers, body));
    t.throws(() => verify(webhookSecret, headers, `${body} `), { message: 'forged' });
    t.throws(() => verify(webhookSecret, { ...headers, 'webhook-timestamp': '1700000000' }, body), {
      message: /replay/,
    });
  }
});

t.test('a controller killed in the middle of it: the one standing by tells it, under the same id', async (t) => {
  const receiver = await startWebhookReceiver(t);
  // The leader's request is never answered, the next one's is.
  receiver.answer('/hook', (response, call) => void (call > 1 && response.writeHead(204).end()));
  const standby = await platform.addController();
  const recorder = await startRecorder(t);
  const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', {
    input: { recorder: recorder.url, steps: 1 },
    webhookUrl: `${receiver.url}/hook`,
  });
  await receiver.received('/hook');
  t.same(await platform.controller.kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
  const calls = await receiver.received('/hook', 2);
  t.same(
    calls.map(({ headers }) => headers['webhook-id']),
    [`${body.id}.1`, `${body.id}.1`],
  );
  for (const call of calls) t.match(verifyWebhook(webhookSecret, call), { type: 'run.completed' });

  // SIGTERM lets what is under way be recorded.
  t.same(await standby.kill('SIGTERM'), { code: 0, signal: null });
  const { body: webhook } = await manager.get<Webhook>(`/api/runs/${body.id}/webhook`);
  t.match(webhook.deliveries, [
    { id: `${body.id}.1`, state: 'delivered', tries: 2, log: [{ status: 204 }, { status: null }] },
  ]);

  await platform.controller.restart();
  t.equal((await manager.post(`/api/runs/${body.id}/webhook/redeliver`)).status, 202);
  const [, , again] = await receiver.received('/hook', 3);
  t.equal(again?.headers['webhook-id'], `${body.id}.1`, 'telling it again is no new delivery');
});

t.test('the controller counts its tries and what is still to be told', async (t) => {
  const scrape = async () => (await fetch(`${platform.controller.url}/metrics`)).text();
  let metrics = await scrape();
  // The answer was sent before; that it was recorded shows here first.
  while (!metrics.includes('flowstate_webhook_tries_total{outcome="delivered"} 1')) metrics = await scrape();
  t.match(metrics, /^flowstate_webhooks_pending 0$/m);
  t.match(metrics, /^flowstate_webhooks_oldest_pending_seconds 0$/m);
});
