import type { Resolve } from '@flowstate/runtime';
import { claimDeliveries, nameWebhookHosts, recordTry, redeliverWebhook, webhookBacklog } from '@flowstate/store';
import { holdPort, startWebhookReceiver, verifyWebhook } from '@flowstate/test';
import t from 'tap';
import { createWebhookFixture, webhookSecret } from './fixtures/webhook-fixture.ts';

/** Whatever the name, it leads here. */
const toLoopback: Resolve = (_hostname, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);

t.test('after a 500 it is told again, under the same id, each time with a signature of its own', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  receiver.answer('/hook', (response, call) => response.writeHead(call < 3 ? 500 : 200).end());
  const runId = await endRun(`${receiver.url}/hook`);
  const { tried } = deliver();
  t.same(await tried(3), ['failed', 'failed', 'delivered']);
  const calls = await receiver.received('/hook', 3);
  for (const { headers, body } of calls) {
    t.equal(headers['webhook-id'], `${runId}.1`);
    t.equal(headers['content-type'], 'application/json');
    t.match(verifyWebhook(webhookSecret, { headers, body }), {
      type: 'run.completed',
      timestamp: /^\d{4}-.*Z$/,
      data: { id: runId, workflow: 'sample', state: 'completed', output: { total: '4 €' }, error: null, attempt: 1 },
    });
    t.throws(() => verifyWebhook(webhookSecret, { headers, body: `${body} ` }), 'which a changed body fails');
  }
  t.match(await delivery(runId), {
    id: `${runId}.1`,
    state: 'delivered',
    nextTryAt: null,
    tries: 3,
    log: [
      { status: 200, error: null },
      { status: 500, error: 'Status 500' },
      { status: 500, error: 'Status 500' },
    ],
  });
});

t.test('a failed run is told without its stack, and without what only the platform needs', async (t) => {
  const { endRun, deliver } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  const runId = await endRun(`${receiver.url}/hook`, 'failed');
  deliver();
  const [call] = await receiver.received('/hook');
  const { type, data } = JSON.parse(call?.body ?? '') as { type: string; data: Record<string, unknown> };
  t.equal(type, 'run.failed');
  t.same(data['error'], { code: 'internal', message: 'broken', step: 'one' });
  t.equal(data['id'], runId);
  t.notOk('principalId' in data);
});

t.test('a refused connection is tried again until somebody listens', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const port = await holdPort();
  const runId = await endRun(`http://127.0.0.1:${port}/hook`);
  const { tried } = deliver();
  t.same(await tried(2), ['failed', 'failed']);
  const receiver = await startWebhookReceiver(t, port);
  const [call] = await receiver.received('/hook');
  t.equal(call?.headers['webhook-id'], `${runId}.1`);
  t.match((await delivery(runId)).log.at(-1), { status: null, error: 'No answer (ECONNREFUSED)' });
});

t.test('410 ends it; somebody may have it told again, under the same id', async (t) => {
  const { sql, endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  receiver.answer('/hook', (response, call) => response.writeHead(call === 1 ? 410 : 204).end());
  const runId = await endRun(`${receiver.url}/hook`);
  const { tried } = deliver();
  t.same(await tried(1), ['given_up']);
  t.match(await delivery(runId), { state: 'given_up', tries: 1, nextTryAt: null, log: [{ status: 410 }] });
  t.match(await webhookBacklog(sql), { pending: 0, oldestSeconds: 0 });
  t.equal(await redeliverWebhook(sql, runId), true);
  t.same(await tried(2), ['given_up', 'delivered']);
  t.same(
    receiver.calls.map(({ headers }) => headers['webhook-id']),
    [`${runId}.1`, `${runId}.1`],
  );
  t.match(await delivery(runId), { state: 'delivered', tries: 2 });
});

t.test('a redirect is not followed', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  receiver.answer('/hook', (response) => response.writeHead(307, { location: `${receiver.url}/elsewhere` }).end());
  const runId = await endRun(`${receiver.url}/hook`);
  const { tried } = deliver();
  t.same(await tried(2), ['failed', 'failed']);
  t.notOk(receiver.calls.some(({ path }) => path === '/elsewhere'));
  t.match((await delivery(runId)).log.at(-1), { status: 307, error: 'A redirect, which is not followed' });
});

t.test('a name that leads to a private address when it matters is refused and logged', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  const byName = await endRun(`http://hooks.example.com:${receiver.port}/name`);
  const byAddress = await endRun(`${receiver.url}/address`); // accepted when that was still allowed
  const guarded = deliver({ allowPrivate: false, resolve: toLoopback });
  t.same(await guarded.tried(2), ['failed', 'failed']);
  await guarded.stop();
  t.same(receiver.calls, [], 'nobody was called');
  const refused = { status: null, error: 'Its name leads to a private, local or reserved address' };
  t.match((await delivery(byName)).log.at(-1), refused);
  t.match((await delivery(byAddress)).log.at(-1), { error: /webhookUrl must not point to a private/ });

  deliver({ allowPrivate: true, resolve: toLoopback });
  const [call] = await receiver.received('/name');
  t.equal(call?.headers.host, `hooks.example.com:${receiver.port}`, 'while the same name does lead here');
});

t.test('a slow endpoint holds up nobody else', async (t) => {
  const { sql, endRun, deliver } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  const held: (() => void)[] = [];
  receiver.answer('/slow', (response) => void held.push(() => response.end()));
  for (let n = 0; n < 6; n++) await endRun(`http://slow.example.com:${receiver.port}/slow`);
  await endRun(`http://quick.example.com:${receiver.port}/quick`);
  const { tried } = deliver({ resolve: toLoopback, limits: { concurrency: 3, perHost: 2 } });
  await receiver.received('/quick');
  t.same(await tried(1), ['delivered']);
  t.equal((await receiver.received('/slow', 2)).length, 2);
  t.equal(held.length, 2, 'no more than its share at once');
  t.equal((await webhookBacklog(sql)).pending, 6);
  receiver.answer('/slow', (response) => response.end());
  for (const release of held) release();
  await tried(7);
  t.equal((await webhookBacklog(sql)).pending, 0);
});

t.test('no answer in time is a failure; an endless body after a 200 is not', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  receiver.answer('/silent', () => {});
  receiver.answer('/endless', (response) => {
    response.writeHead(200);
    const more = () => void (response.destroyed || response.write('x'.repeat(65_536), () => setImmediate(more)));
    more();
  });
  const endless = await endRun(`${receiver.url}/endless`);
  const patient = deliver();
  t.same(await patient.tried(1), ['delivered']);
  t.match((await delivery(endless)).log, [{ status: 200, error: null }]);
  await patient.stop();
  const silent = await endRun(`${receiver.url}/silent`);
  const hasty = deliver({ timeoutMs: 500, schedule: { retryForMs: 0 } });
  t.same(await hasty.tried(1), ['given_up'], 'and no retry begins after its time');
  t.match((await delivery(silent)).log, [{ status: null, error: 'No answer within 0.5 s' }]);
});

t.test('an endpoint that asks for time gets it', async (t) => {
  const { endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  receiver.answer('/busy', (response) => response.writeHead(503, { 'retry-after': '50' }).end());
  receiver.answer('/greedy', (response) => response.writeHead(429, { 'retry-after': '999999' }).end());
  const [busy, greedy] = [await endRun(`${receiver.url}/busy`), await endRun(`${receiver.url}/greedy`)];
  const { tried } = deliver();
  await tried(2);
  const wait = async (runId: string) => {
    const { nextTryAt, log } = await delivery(runId);
    return (Date.parse(nextTryAt ?? '') - Date.parse(log[0]?.at ?? '')) / 1000;
  };
  t.ok((await wait(busy)) >= 50);
  t.ok((await wait(greedy)) >= 60, 'up to the longest wait there is');
  t.ok((await wait(greedy)) < 1_000);
});

t.test('what a lost controller had under way is made again when its lease ends', async (t) => {
  const { sql, endRun, deliver, delivery } = await createWebhookFixture(t);
  const receiver = await startWebhookReceiver(t);
  const runId = await endRun(`${receiver.url}/hook`);
  await nameWebhookHosts(sql, 10);
  const claim = { busy: [], perHost: 1, limit: 1 };
  t.match(await claimDeliveries(sql, { ...claim, leaseMs: 60_000 }), [{ runId, try: 1, url: `${receiver.url}/hook` }]);
  t.same(await claimDeliveries(sql, { ...claim, leaseMs: 60_000 }), [], 'nobody else has it meanwhile');
  t.equal(await redeliverWebhook(sql, runId), false, 'nor is it told again by hand');
  t.equal((await delivery(runId)).nextTryAt, null);
  await sql`UPDATE webhook_deliveries SET due_at = now()`; // the lease is over
  const { tried } = deliver();
  t.same(await tried(1), ['delivered']);
  t.match(await delivery(runId), {
    state: 'delivered',
    tries: 2,
    log: [
      { status: 204, error: null },
      { status: null, durationMs: null, error: /nobody knows whether it arrived/ },
    ],
  });
});

t.test('the role of gateway and controller may do all of this, a worker may not read it', async (t) => {
  const { sql, endRun } = await createWebhookFixture(t);
  const runId = await endRun('https://hooks.example.com/hook');
  await sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE flowstate_app`;
    await nameWebhookHosts(tx, 10);
    const [claimed] = await claimDeliveries(tx, { busy: [], perHost: 1, limit: 1, leaseMs: 1_000 });
    if (claimed === undefined) throw new Error('nothing was due');
    t.match(claimed, { runId, host: 'hooks.example.com' });
    await recordTry(tx, claimed, { status: 500, durationMs: 1, error: 'Status 500', next: 'given_up' });
    t.equal(await redeliverWebhook(tx, runId), true);
  });
  const asWorker = sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE flowstate_worker`;
    await webhookBacklog(tx);
  });
  await t.rejects(asWorker, { code: '42501' });
});
