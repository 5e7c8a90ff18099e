import { approvalSignal, maxWebhookBytes, type Approval } from '@flowstate/contracts';
import { createApiKey } from '@flowstate/security';
import { finishRuns, readInbox, recordParked, upsertCustomers, writeChunks } from '@flowstate/store';
import { startWebhookReceiver, verifyWebhook } from '@flowstate/test';
import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker, failRun } from './fixtures/owned-run.ts';

const WEBHOOK_SECRET = 'a secret of at least 24 bytes';
const { sql, users, secrets, addGateway } = await createGatewayFixture(t);
const gateway = await addGateway({ WEBHOOK_SECRET, WEBHOOK_ALLOW_PRIVATE: 'true' });
const receiver = await startWebhookReceiver(t);
const worker = await addWorker(sql);
await upsertCustomers(sql, [
  { externalId: 'C-1', name: 'Acme' },
  { externalId: 'C-2', name: 'Globex' },
]);

type Starter = 'agent' | 'manager' | 'integration' | 'service' | 'admin';

/** A run that a worker is at, and the token its agents call with. */
async function begin(role: Starter, customer?: string) {
  const run = { principalId: users[role].id, role, owner: worker, ...(customer !== undefined && { customer }) };
  const runId = await addRun(sql, run);
  const { body } = await gateway.call('POST', '/api/internal/run-tokens', {
    token: secrets.WORKER_API_KEY,
    body: { runId, incarnation: worker },
  });
  return { runId, token: body['token'] as string };
}

const message = { total: 3 };
const webhook = { url: `${receiver.url}/in`, message };
const inputSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['url', 'message'],
  properties: { url: { type: 'string' }, message: { type: 'object' }, tries: { type: 'integer', default: 1 } },
};
const { tries: _tries, ...properties } = inputSchema.properties;
const webhookSchema = { ...inputSchema, properties };

async function ask(token: string, step: string, question: Record<string, unknown> = {}) {
  const body = { step, tool: 'send_webhook', input: webhook, inputSchema: webhookSchema, ...question };
  const answer = await gateway.call('POST', '/api/approvals', { token, body });
  return { ...answer, approval: answer.body as Approval };
}
const decide = async (as: string, id: string, body: unknown) =>
  gateway.call('POST', `/api/approvals/${id}/decision`, { token: as, body });
const send = async (token: string, key: string, body: unknown = webhook, from = gateway) =>
  from.call('POST', '/api/webhooks', { token, body, headers: { 'idempotency-key': key } });

const manager = await gateway.tokenOf('manager');

t.test('what a run asks is listed for who may decide, is decided once, and wakes the run', async (t) => {
  const { runId, token } = await begin('agent');
  const { approval, status } = await ask(token, 'brief/tool#1.1');
  t.equal(status, 200);
  t.match(approval, {
    run: runId,
    workflow: 'probe',
    tool: 'send_webhook',
    input: webhook,
    open: true,
    decision: null,
  });
  t.equal(
    (await ask(token, 'brief/tool#1.1')).approval.id,
    approval.id,
    'asked again after a crash: the same question',
  );
  t.match(await ask(token, 'brief/tool#1.1', { input: { ...webhook, url: 'http://else.example' } }), { status: 409 });

  const listed = await gateway.call('GET', `/api/approvals?run=${runId}`, { token: manager });
  t.match(listed.body['items'], [{ id: approval.id, askedBy: users.agent.id }]);
  const own = await gateway.call('GET', '/api/approvals', { token: await gateway.tokenOf('agent') });
  t.match(own.body['items'], [{ id: approval.id }], 'who asked sees it');
  t.same((await gateway.call('GET', '/api/approvals', { token: await gateway.tokenOf('service') })).body['items'], []);

  t.match(await decide(manager, approval.id, { decision: 'approve', reason: 'fine' }), {
    status: 200,
    body: { open: false, decision: 'approve', decidedBy: users.manager.id, reason: 'fine', decidedInput: null },
  });
  const { entries } = await readInbox(sql, runId);
  t.match(entries, [
    { name: approvalSignal('brief/tool#1.1'), data: { decision: 'approve' }, principalId: users.manager.id },
  ]);
  t.match(await decide(manager, approval.id, { decision: 'refuse' }), {
    status: 409,
    body: { detail: /already: approve/ },
  });
  t.same((await gateway.call('GET', `/api/approvals?run=${runId}`, { token: manager })).body['items'], []);
  const all = await gateway.call('GET', `/api/approvals?run=${runId}&state=all`, { token: manager });
  t.match(all.body['items'], [{ id: approval.id }]);
  t.match(
    await sql`SELECT actor, outcome, details::json AS details FROM audit_log WHERE action = 'approval.decide' AND subject = ${runId}`,
    [{ actor: users.manager.id, details: { approval: approval.id, tool: 'send_webhook', decision: 'approve' } }],
  );
});

t.test('a decision that no run hears is none: it can be made once the run goes on', async (t) => {
  const { runId, token } = await begin('agent');
  const { approval } = await ask(token, 's');
  const approve = () => decide(manager, approval.id, { decision: 'approve' });
  const failure = { state: 'failed' as const, output: null, error: '{"code":"timeout","message":"took too long"}' };
  // The run ends when the decision has found it live, and is about to tell it.
  const deciding = await sql.begin(async (tx) => {
    await finishRuns(tx, [{ runId, owner: worker, chunk: 0, lastSeq: 3, events: '[]', ...failure }]);
    const pending = approve();
    const waits = () => tx`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    while ((await waits()).length === 0);
    return { pending };
  });
  t.match(await deciding.pending, { status: 409, body: { detail: 'The run is over' } });

  t.equal((await gateway.call('POST', `/api/runs/${runId}/retry`, { token: manager })).status, 202);
  t.match(await approve(), { status: 200, body: { decision: 'approve' } });
  t.match((await readInbox(sql, runId)).entries, [{ name: approvalSignal('s') }]);
});

t.test('nobody decides a run of their own, no agent decides, and no other way leads to the signal', async (t) => {
  const { runId, token } = await begin('manager');
  const { approval } = await ask(token, 's');
  const { key } = await createApiKey(sql, {
    userId: users.manager.id,
    name: 'mine',
    scopes: ['api'],
  });
  for (const own of [manager, key]) {
    t.match(await decide(own, approval.id, { decision: 'approve' }), { status: 403, body: { detail: /of their own/ } });
  }
  const other = await begin('admin');
  t.match(await decide(other.token, approval.id, { decision: 'approve' }), { status: 403, body: { detail: /person/ } });
  t.equal((await decide(await gateway.tokenOf('agent'), approval.id, { decision: 'approve' })).status, 403);
  t.equal(
    (await gateway.call('GET', `/api/approvals/${approval.id}`, { token: await gateway.tokenOf('agent') })).status,
    404,
  );
  const admin = await gateway.tokenOf('admin');
  const signal = `/api/runs/${runId}/signals/${encodeURIComponent(approvalSignal('s'))}`;
  t.match(await gateway.call('POST', signal, { token: admin, body: { data: { decision: 'approve' } } }), {
    status: 400,
  });
  t.same((await readInbox(sql, runId)).entries, []);
  t.match(await ask(manager, 's'), { status: 403, body: { detail: /Only a run/ } });
});

t.test("a workflow's own wait for an approval is for people, and not for whoever started the run", async (t) => {
  const { runId, token } = await begin('manager');
  const other = await begin('admin');
  const send = async (as: string, name: string) =>
    gateway.call('POST', `/api/runs/${runId}/signals/${name}`, { token: as, body: { data: name } });
  t.equal((await send(other.token, 'go')).status, 202, 'ahead of the question it answers nothing (see the engine)');
  const at = new Date().toISOString();
  const waits = ['go', 'news'].map((signal, i) => {
    const data = { kind: 'signal', name: signal, signal, approval: signal === 'go', until: null };
    return { seq: i + 3, type: 'wait.begun', at, data };
  });
  t.same(await writeChunks(sql, [{ runId, owner: worker, chunk: 1, events: JSON.stringify(waits) }]), [true]);
  t.match(await send(manager, 'go'), { status: 403, body: { detail: /of their own/ } });
  t.match(await send(token, 'go'), { status: 403, body: { detail: /never a run/ } });
  t.match(await send(other.token, 'go'), { status: 403, body: { detail: /never a run/ } });
  t.equal((await send(other.token, 'news')).status, 202, 'what is no approval a run may send');
  const admin = await gateway.tokenOf('admin');
  t.equal((await send(admin, 'go')).status, 202);
  const { entries } = await readInbox(sql, runId);
  t.match(entries, [
    { name: 'go', byRun: other.runId, principalId: users.admin.id },
    { name: 'news', byRun: other.runId },
    { name: 'go', byRun: null, principalId: users.admin.id },
  ]);
});

t.test('what is in doubt a person settles, never a run', async (t) => {
  const { runId } = await begin('manager');
  await sql`UPDATE run_live SET state = 'parked', owner = NULL WHERE id = ${runId}`;
  await recordParked(sql, runId, { reason: 'doubt', step: 's' });
  const other = await begin('admin');
  const resolve = (as: string) =>
    gateway.call('POST', `/api/runs/${runId}/resolve`, { token: as, body: { outcome: 'abandon' } });
  t.match(await resolve(other.token), { status: 403, body: { detail: /never a run/ } });
  t.equal((await resolve(manager)).status, 202);
});

t.test('an agent sets nothing going in the name of another: it retries the runs of its owner alone', async (t) => {
  const failed = async (role: Starter) => {
    const id = await addRun(sql, { principalId: users[role].id, role, owner: worker });
    await failRun(sql, worker, id);
    return id;
  };
  const [own, theirs, other] = [await failed('manager'), await failed('admin'), await failed('service')];
  const { token } = await begin('manager');
  const retry = (as: string, id: string) => gateway.call('POST', `/api/runs/${id}/retry`, { token: as });
  const bulk = (as: string) => gateway.call('POST', '/api/runs/retry', { token: as, body: { ids: [theirs, other] } });
  t.match(await retry(token, theirs), { status: 403, body: { detail: /other people's/ } });
  t.match(JSON.parse((await bulk(token)).text), { matched: 0, changed: 0, failed: [{ id: theirs }, { id: other }] });
  t.same(await sql`SELECT id FROM run_live WHERE id IN (${theirs}, ${other})`, []);
  t.equal((await retry(token, own)).status, 202);
  t.equal((await retry(manager, theirs)).status, 202, 'a person may');
  t.match(JSON.parse((await bulk(manager)).text), { matched: 1, changed: 1 });
});

t.test('an edit must fit the schema; a decision that contradicts itself is refused', async (t) => {
  const { token, runId } = await begin('agent');
  const { approval } = await ask(token, 's', { inputSchema });
  for (const [body, field] of [
    [{ decision: 'edit' }, 'input'],
    [{ decision: 'edit', input: { url: 7, message } }, 'input.url'],
    [{ decision: 'edit', input: { ...webhook, more: 1 } }, 'input.more'],
    [{ decision: 'edit', input: { ...webhook, message: { id: 2 ** 53 } } }, 'input.message.id'],
    [{ decision: 'edit', input: null }, 'input'],
    [{ decision: 'approve', input: webhook }, 'input'],
    [{ decision: 'perhaps' }, 'decision'],
    [{}, 'decision'],
    [{ decision: 'approve', reason: 'x\0' }, 'reason'],
    [{ decision: 'approve', by: 'me' }, 'by'],
  ] as const) {
    const { status, body: problem } = await decide(manager, approval.id, body);
    t.match({ status, problem }, { status: 400, problem: { errors: [{ field }] } }, JSON.stringify(body));
  }
  t.equal((await gateway.call('GET', `/api/approvals/${approval.id}`, { token: manager })).body['open'], true);
  const edited = { url: `${receiver.url}/else`, message };
  t.match((await decide(manager, approval.id, { decision: 'edit', input: edited })).body['decidedInput'], {
    ...edited,
    tries: 1,
  });
  t.match((await readInbox(sql, runId)).entries, [{ data: { decision: 'edit', input: { ...edited, tries: 1 } } }]);
});

t.test('of several people who decide at once one has decided', async (t) => {
  const { token, runId } = await begin('agent');
  const { approval } = await ask(token, 's');
  const people = [manager, await gateway.tokenOf('admin')];
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, n) =>
      decide(people[n % 2] as string, approval.id, { decision: n % 3 === 0 ? 'refuse' : 'approve' }),
    ),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  t.equal(answers.filter(({ status }) => status === 409).length, 7);
  const decision = answers.find(({ status }) => status === 200)?.body['decision'];
  t.match((await readInbox(sql, runId)).entries, [{ data: { decision } }]);
  t.equal((await readInbox(sql, runId)).entries.length, 1);
});

t.test('a question nobody could answer is refused, naming the field', async (t) => {
  const { token } = await begin('agent');
  for (const [question, field] of [
    [{ input: { url: 1, message } }, 'input.url'],
    [{ inputSchema: { type: 'nonsense' } }, 'inputSchema'],
    [{ inputSchema: 7 }, 'inputSchema'],
    [{ tool: 'no tool' }, 'tool'],
    [{ step: '' }, 'step'],
    [{ input: undefined }, 'input'],
  ] as const) {
    const { status, body } = await ask(token, 'x', question);
    t.match({ status, body }, { status: 400, body: { errors: [{ field }] } }, JSON.stringify(question));
  }
});

t.test('a run that is over waits for nothing', async (t) => {
  const { token, runId } = await begin('agent');
  const { approval } = await ask(token, 's');
  await finishRuns(sql, [
    { runId, owner: worker, chunk: 0, state: 'completed', lastSeq: 3, events: '[]', output: 'null', error: null },
  ]);
  t.same((await gateway.call('GET', `/api/approvals?run=${runId}`, { token: manager })).body['items'], []);
  t.match(await decide(manager, approval.id, { decision: 'approve' }), { status: 409, body: { detail: /over/ } });
});

t.test('a webhook goes out as it was approved, signed, once', async (t) => {
  const { token, runId } = await begin('agent');
  const key = `${runId}:s`;
  const denied = /Nobody has approved/;
  t.match(await send(token, key), { status: 403, body: { detail: denied } }, 'not asked');
  const { approval } = await ask(token, 's');
  t.match(await send(token, key), { status: 403, body: { detail: denied } }, 'asked, not answered');
  await decide(manager, approval.id, { decision: 'approve' });
  for (const [other, body] of [
    [`${runId}:t`, webhook],
    [key, { ...webhook, message: { total: 4 } }],
    [key, { ...webhook, url: `${receiver.url}/else` }],
  ] as const) {
    t.match(await send(token, other, body), { status: 403, body: { detail: denied } });
  }
  const stranger = await begin('agent');
  t.match(await send(stranger.token, key), { status: 403 }, "another run's approval");
  t.match(await send(manager, key), { status: 403, body: { detail: /Only a run/ } });
  t.same(receiver.calls, []);

  const both = await Promise.all([send(token, key), send(token, key)]);
  t.same(
    both.map(({ status }) => status),
    [200, 200],
  );
  const outcomes = both.map(({ body }) => body['outcome']);
  t.ok(outcomes.includes('delivered'), outcomes.join());
  t.match(
    await send(token, key),
    { status: 200, body: { id: approval.id, outcome: 'delivered', status: 204 } },
    'recalled',
  );
  t.equal(receiver.calls.length, 1);
  const [call] = receiver.calls;
  t.match(call && verifyWebhook(`whsec_${Buffer.from(WEBHOOK_SECRET).toString('base64')}`, call), {
    type: 'agent.message',
    data: { run: runId, message },
  });
  t.equal(call?.headers['webhook-id'], approval.id);
  const rows = await sql`
    SELECT actor, details::json AS details FROM audit_log WHERE action = 'webhook.send' AND subject = ${runId} AND outcome = 'success'`;
  t.match(rows[0], { actor: users.agent.id, details: { approval: approval.id, origin: receiver.url } });
});

t.test('a refusal sends nothing; an edit sends what the person wrote', async (t) => {
  const before = receiver.calls.length;
  const { token, runId } = await begin('agent');
  const refused = await ask(token, 'no');
  await decide(manager, refused.approval.id, { decision: 'refuse', reason: 'not to them' });
  t.equal((await send(token, `${runId}:no`)).status, 403);
  const changed = await ask(token, 'yes');
  const edited = { url: `${receiver.url}/edited`, message: { total: 5 } };
  await decide(manager, changed.approval.id, { decision: 'edit', input: edited });
  t.equal((await send(token, `${runId}:yes`)).status, 403, 'what the model wanted');
  t.match(await send(token, `${runId}:yes`, edited), { status: 200, body: { outcome: 'delivered' } });
  t.same(
    receiver.calls.slice(before).map(({ path }) => path),
    ['/edited'],
  );
});

t.test('what went wrong is said: refused, not sent, or nobody knows', async (t) => {
  receiver.answer('/no', (response) => void response.writeHead(500).end());
  receiver.answer('/cut', (response) => void response.destroy());
  const { token, runId } = await begin('agent');
  const attempt = async (step: string, url: string, from = gateway) => {
    const input = { url, message };
    const { approval } = await ask(token, step, { input });
    await decide(manager, approval.id, { decision: 'approve' });
    return send(token, `${runId}:${step}`, input, from);
  };
  t.match((await attempt('a', `${receiver.url}/no`)).body, { outcome: 'refused', status: 500 });
  t.match((await attempt('b', `${receiver.url}/cut`)).body, { outcome: 'unknown', status: null });
  t.match((await attempt('d', 'http://nowhere.invalid/')).body, { outcome: 'unsent' });
  const strict = await addGateway({ WEBHOOK_SECRET, AGENT_WEBHOOK_HOSTS: 'hooks.example.com, *.example.org' });
  for (const url of [
    `${receiver.url}/in`,
    'http://169.254.169.254/latest',
    'http://localhost:9000/',
    'https://example.com/',
    'https://hooks.example.com.evil.net/',
    'https://example.org/',
    'file:///etc/passwd',
    'https://user:secret@hooks.example.com/',
  ]) {
    t.match(await attempt(url.slice(0, 40), url, strict), { status: 400, body: { errors: [{ field: 'url' }] } }, url);
  }
  const large = { url: webhook.url, message: { text: 'x'.repeat(maxWebhookBytes) } };
  t.match(await send(token, `${runId}:l`, large), { status: 400, body: { errors: [{ field: 'message' }] } });
  t.match(await send(token, `${runId}:a`, { url: webhook.url }), {
    status: 400,
    body: { errors: [{ field: 'message' }] },
  });
  t.equal((await gateway.call('POST', '/api/webhooks', { token, body: webhook })).status, 400, 'without a key');
  const mute = await addGateway();
  t.match(await send(token, `${runId}:m`, webhook, mute), { status: 403, body: { detail: /WEBHOOK_SECRET/ } });
});

t.test('what a person says did not happen may be sent after all; what arrived may not', async (t) => {
  receiver.answer('/flaky', (response, call) => void (call === 1 ? response.destroy() : response.writeHead(204).end()));
  const { token, runId } = await begin('agent');
  const input = { url: `${receiver.url}/flaky`, message };
  const { approval } = await ask(token, 's', { input });
  await decide(manager, approval.id, { decision: 'approve' });
  const attempt = async () => (await send(token, `${runId}:s`, input)).body['outcome'];
  t.same([await attempt(), await attempt()], ['unknown', 'unknown']);
  const settle = async () => {
    await sql`UPDATE run_live SET state = 'parked', owner = NULL WHERE id = ${runId}`;
    await recordParked(sql, runId, { reason: 'doubt', step: 's' });
    const body = { outcome: 'not-happened' };
    t.equal((await gateway.call('POST', `/api/runs/${runId}/resolve`, { token: manager, body })).status, 202);
    await sql`UPDATE run_live SET state = 'running', owner = ${worker} WHERE id = ${runId}`;
  };
  await settle();
  t.equal(await attempt(), 'delivered');
  await settle();
  t.equal(await attempt(), 'delivered', 'recalled');
  t.equal(receiver.calls.filter(({ path }) => path === '/flaky').length, 2);
});

t.test("a follow-up is made once per key, and by an agent for its run's customer alone", async (t) => {
  const path = (customer: string) => `/api/customers/${customer}/follow-ups`;
  const add = (token: string, customer: string, body: unknown, key?: string) =>
    gateway.call('POST', path(customer), { token, body, headers: key === undefined ? {} : { 'idempotency-key': key } });
  const { runId, token } = await begin('agent', 'C-1');
  const body = { subject: 'Call them', note: 'about the export', due: '2026-12-01' };
  const made = await add(token, 'C-1', body, `${runId}:s`);
  t.match(made, { status: 201, body: { customer: 'C-1', ...body, run: runId, createdBy: users.agent.id } });
  const again = await add(token, 'C-1', body, `${runId}:s`);
  t.match(again, { status: 200, body: { id: made.body['id'] as string } });
  t.match(await add(token, 'C-1', { ...body, subject: 'Else' }, `${runId}:s`), { status: 409 });
  t.match(await add(token, 'C-2', body, `${runId}:t`), { status: 403, body: { detail: /not started for/ } });
  t.match(await add((await begin('manager')).token, 'C-1', body), { status: 403 }, 'a run about nobody');
  t.equal((await add(token, 'C-9', body)).status, 404);
  const ours = await gateway.call('GET', '/api/customers/C-1', { token: manager });
  t.equal((await add(token, String(ours.body['id']), body, `${runId}:s`)).status, 200, 'the same customer by our id');

  t.match(await add(manager, 'C-2', { subject: 'Visit' }), { status: 201, body: { run: null, note: null, due: null } });
  for (const role of ['analyst', 'service'] as const) {
    t.equal((await add(await gateway.tokenOf(role), 'C-1', body)).status, 403, role);
  }
  t.equal((await add((await begin('service', 'C-1')).token, 'C-1', body)).status, 403, "a run has its owner's rights");
  for (const [wrong, field] of [
    [{}, 'subject'],
    [{ subject: ' ' }, 'subject'],
    [{ subject: 'x\0' }, 'subject'],
    [{ subject: 'x', due: 'soon' }, 'due'],
    [{ subject: 'x', due: '2026-02-31' }, 'due'],
    [{ subject: 'x', note: '' }, 'note'],
    [{ subject: 'x', customer: 'C-2' }, 'customer'],
  ] as const) {
    t.match(await add(manager, 'C-1', wrong), { status: 400, body: { errors: [{ field }] } }, JSON.stringify(wrong));
  }
  const first = await gateway.call('GET', `${path('C-1')}?limit=1`, { token: await gateway.tokenOf('analyst') });
  t.match(first.body, { items: [{ id: made.body['id'] as string }], nextCursor: null });
  t.match(await gateway.call('GET', `${path('C-1')}?cursor=x`, { token: manager }), { status: 400 });
});
