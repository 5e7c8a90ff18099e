import { randomBytes } from 'node:crypto';
import type { IncidentEvent } from '@flowstate/contracts';
import { startWebhookReceiver, verifyWebhook } from '@flowstate/test';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker, failRun } from './fixtures/owned-run.ts';

const from = new Date(Date.now() - 3_600_000).toISOString();
const summary = {
  id: 'incident-1',
  from,
  to: new Date().toISOString(),
  subject: null,
  impactedUsers: [],
  actionsTaken: [],
  nextSteps: [],
  markdown: '# Incident',
};

t.test('what happened to runs is told without their inputs, of one principal or all', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  const worker = await addWorker(sql);
  const failed = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner: worker });
  await failRun(sql, worker, failed);
  const queued = await addRun(sql, { principalId: users.manager.id, role: 'manager', owner: null });
  const events = async (query: Record<string, string>): Promise<IncidentEvent[]> => {
    const path = `/api/admin/incidents/events?${new URLSearchParams(query).toString()}`;
    const { status, text } = await gateway.call('GET', path, { token });
    t.equal(status, 200);
    return text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as IncidentEvent); // prettier-ignore
  };
  const all = await events({ from });
  t.same(
    all.map(({ run, type }) => [run, type]),
    [
      [queued, 'run.accepted'],
      [failed, 'run.accepted'],
      [failed, 'run.started'],
      [failed, 'run.failed'],
    ],
    'the newest run first, each in order',
  );
  t.match(all[3], {
    workflow: 'probe',
    principal: users.agent.id,
    data: { attempt: 1, error: { code: 'internal', message: 'broken' } },
  });
  t.same([...new Set((await events({ from, principal: users.agent.id })).map(({ run }) => run))], [failed]);
  t.same(await events({ from, to: from }), [], 'nothing before the time, though one lives');
  // The same moment in another time zone.
  t.equal((await events({ from: from.replace('Z', '+00:00') })).length, 4);
  for (const query of ['', '?from=soon', `?from=${from}&principal=me`]) {
    t.equal((await gateway.call('GET', `/api/admin/incidents/events${query}`, { token })).status, 400, query);
  }
});

t.test('owners are told by their webhooks, tasks are filed, and both are audited', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const receiver = await startWebhookReceiver(t);
  const gateway = await addGateway({ WEBHOOK_SECRET: secret, WEBHOOK_ALLOW_PRIVATE: 'true' });
  const token = await gateway.tokenOf('admin');
  const name = (role: string, contact: string) =>
    gateway.call('PUT', `/api/admin/access/owners/${role}`, { token, body: { owner: `Head of ${role}`, contact } });
  await name('admin', `${receiver.url}/it?key=path-secret`);
  await name('manager', `${receiver.url}/it?key=path-secret`);
  await name('agent', 'sales@example.org');
  const notify = (body: object) => gateway.call('POST', '/api/admin/incidents/notices', { token, body });

  const { status, body, text } = await notify({ summary });
  t.equal(status, 200);
  const { deliveries } = body as { deliveries: { id: string; host: string | null }[] };
  t.match(deliveries[0], { roles: ['admin', 'manager'], host: new URL(receiver.url).host, status: 204, error: null });
  t.ok(deliveries.slice(1).every(({ host }) => host === null), 'others have no webhook'); // prettier-ignore
  t.notMatch(text, /path-secret/, "a webhook's URL may be its password");
  const [call] = await receiver.received('/it?key=path-secret');
  t.match(call && verifyWebhook(secret, call), {
    type: 'incident.summary',
    data: { id: 'incident-1', to: 'Head of admin, Head of manager', roles: ['admin', 'manager'] },
  });
  await notify({ summary, skip: [deliveries[0]?.id] });
  t.equal(receiver.calls.length, 1, 'who was told is not told again');

  const file = (task: string, url = `${receiver.url}/tracker`) =>
    gateway.call('POST', '/api/admin/incidents/tasks', { token, body: { incident: 'incident-1', task, url } });
  const [one, again, other] = [await file('Add a test'), await file(' Add a test '), await file('Add another')];
  t.equal(one.body['id'], again.body['id'], 'the same task has the same id');
  t.not(one.body['id'], other.body['id']);
  const told = gateway.audited.filter(({ action }) => action.startsWith('incident.'));
  t.match(told[0], { action: 'incident.notified', subject: 'incident-1', outcome: 'success' });
  t.match(told.at(-1), { action: 'incident.task_filed', outcome: 'success' });
  t.notMatch(JSON.stringify(told), /path-secret/);
});

t.test('what cannot be sent is refused with the field, and nothing goes to private addresses', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const [silent, guarded] = [await addGateway(), await addGateway({ WEBHOOK_SECRET: randomBytes(24).toString('hex') })];
  const token = await silent.tokenOf('admin');
  t.match(await silent.call('POST', '/api/admin/incidents/notices', { token, body: { summary } }), {
    status: 503,
    body: { detail: /WEBHOOK_SECRET/ },
  });
  const task = { incident: 'incident-1', task: 'Add a test', url: 'https://tracker.example.org/hook' };
  for (const [field, body] of [
    ['url', { ...task, url: 'http://127.0.0.1:8080/' }],
    ['url', { ...task, url: 'http://metadata.internal/' }],
    ['url', { ...task, url: 'file:///etc/passwd' }],
    ['task', { ...task, task: '' }],
    ['incident', { ...task, incident: '../x' }],
  ] as const) {
    const answer = await guarded.call('POST', '/api/admin/incidents/tasks', { token, body });
    t.match(answer, { status: 400, body: { errors: [{ field: new RegExp(`${field}$`) }] } }, JSON.stringify(body));
  }
  const owner = { owner: 'Head of IT', contact: 'http://10.0.0.1/hook' };
  const named = await guarded.call('PUT', '/api/admin/access/owners/admin', { token, body: owner });
  t.match(named, { status: 400, body: { errors: [{ field: 'contact', message: /private/ }] } });
});
