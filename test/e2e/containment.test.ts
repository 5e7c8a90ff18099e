import { fileURLToPath } from 'node:url';
import type { ContainmentReceipt } from '@flowstate/contracts';
import { acceptRuns } from '@flowstate/store';
import { createClient, startPlatform, startRecorder, type Client } from '@flowstate/test';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const other = await platform.addGateway();
const admin = await platform.as('admin');
const { sql } = platform.database;
const recorder = await startRecorder(t);

type Run = { id: string; state: string; output: unknown; error: { message: string } | null };
type Tokens = { accessToken: string; refreshToken: string };

const stateOf = async (id: string) => (await admin.get<Run>(`/api/runs/${id}`)).body.state;
const contain = (subject: string) =>
  admin.post<ContainmentReceipt>('/api/admin/contain', { subject, reason: 'a test of it' });
const release = (subject: string) => admin.post<{ runs: number }>('/api/admin/contain/release', { subject });

async function start(client: Client, workflow: string, input: object, more: object = {}): Promise<string> {
  const { status, body } = await client.post<Run>(`/api/workflows/${workflow}/runs`, { input, ...more });
  t.equal(status, 202, `${workflow} is accepted`);
  return body.id;
}

/** Resolves once the run's stream tells of such an event. */
async function told(id: string, type: string): Promise<void> {
  for await (const { event } of admin.events(id)) if (event === type) return;
}

/** The run that was accepted last, once it is a new one. */
async function newest(principal: string): Promise<string> {
  const rows = () => sql<{ id: string }[]>`
    SELECT r.id FROM runs r JOIN workflows w ON w.id = r.workflow_id
    WHERE principal_id = ${principal} AND w.name = 'approval' ORDER BY r.id DESC`;
  for (;;) {
    const [first, ...rest] = await rows();
    if (first !== undefined && rest.length > 0) return first.id;
  }
}

/** Resolves once the run waits or has ended. */
async function settled(id: string): Promise<void> {
  for await (const { event } of admin.events(id)) if (event === 'run.waiting' || event === 'run.completed') return;
}

/** Everything a stream tells until it ends. */
function follow(client: Client, id: string): { begun: Promise<void>; all: Promise<(string | undefined)[]> } {
  const begun = Promise.withResolvers<void>();
  const read = async () => {
    const events: (string | undefined)[] = [];
    for await (const { event } of client.events(id)) {
      events.push(event);
      begun.resolve();
    }
    return events;
  };
  return { begun: begun.promise, all: read() };
}

t.test('one command takes everything from a user, everywhere, and gives the runs back', async (t) => {
  const { id: userId } = (await (await platform.as('manager')).get<{ id: string }>('/api/auth/me')).body;
  const login = async (url: string) => {
    const body = { email: 'manager@flowstate.local', password: platform.secrets.password };
    const answer = await createClient(url).post<Tokens>('/api/auth/login', body);
    return { status: answer.status, ...answer.body, client: createClient(url, answer.body.accessToken) };
  };
  const here = await login(platform.gateway.url);
  const there = await login(other.url);
  const made = await admin.post<{ key: string }>('/api/admin/keys', { userId, name: 'test', scopes: ['api'] });
  const byKey = createClient(other.url, made.body.key);
  t.equal((await byKey.get('/api/runs')).status, 200);

  recorder.hold('step-2');
  const running = await start(here.client, 'recorded-steps', { recorder: recorder.url, steps: 3 });
  await recorder.called(`${running}/step-2`);
  const queued = await start(
    there.client,
    'recorded-steps',
    { recorder: recorder.url, steps: 1 },
    { delayMs: 600_000 },
  );
  const waiting = await start(here.client, 'approval', {});
  await told(waiting, 'run.waiting');
  const parent = await start(here.client, 'family', { numbers: [1, -1] });
  await told(parent, 'run.waiting');
  const children = await admin.get<{ items: Run[] }>('/api/runs?workflow=doubling&limit=2');
  await Promise.all(children.body.items.map(({ id }) => settled(id)));
  const streams = [
    follow(here.client, running),
    follow(there.client, running),
    follow(byKey, running),
    follow(byKey, waiting),
  ];
  const unharmed = follow(createClient(other.url, admin.token), running);
  await Promise.all([...streams, unharmed].map((stream) => stream.begun));

  const waitsFor = there.client.post('/api/workflows/approval/runs', { input: {} }, { prefer: 'wait=30' });
  await told(await newest(userId), 'run.waiting');

  t.match(await contain('user:nobody@flowstate.local'), { status: 404 });
  t.match(await contain('admin'), { status: 400, body: { errors: [{ field: 'subject' }] } });
  t.match(await contain('user:admin@flowstate.local'), { status: 409, body: { detail: /themselves/ } });

  const { status, body: receipt } = await contain('user:manager@flowstate.local');
  t.equal(status, 200);
  t.match(receipt, {
    userId,
    sessions: 3,
    families: 3,
    keys: 1,
    streams: 5,
    runs: { running: 1, queued: 1, waiting: 4 },
    left: 0,
  });
  t.equal(receipt.processes.filter(({ kind }) => kind === 'gateway').length, 2);
  t.equal(receipt.processes.filter(({ kind }) => kind === 'worker').length, 1);
  t.ok(receipt.processes.every(({ obeyedMs }) => obeyedMs !== null));
  t.type(receipt.obeyedMs, 'number', `all obeyed, after ${receipt.obeyedMs} ms`);

  for (const client of [here.client, there.client, byKey]) t.equal((await client.get('/api/runs')).status, 401);
  for (const url of [platform.gateway.url, other.url]) {
    t.equal((await login(url)).status, 401, 'no login');
    const { refreshToken } = here;
    t.equal((await createClient(url).post('/api/auth/refresh', { refreshToken })).status, 401, 'no refresh');
  }
  t.match(await waitsFor, { status: 202, body: { state: 'queued' } }, 'whoever waits for an end waits no more');
  for (const stream of streams) t.equal((await stream.all).at(-1), 'reauth', 'the stream was closed');
  await platform.worker.logged(
    ({ msg, runId, outcome }) => msg === 'run left this worker' && runId === running && outcome === 'lost',
  );
  for (const id of [running, queued, waiting, parent]) t.equal(await stateOf(id), 'quarantined');

  // What comes in for them now, or is due by now, moves none of them.
  await sql`UPDATE run_live SET ready_at = now() WHERE id = ${queued}`;
  t.match(await admin.post(`/api/runs/${waiting}/signals/approve`, { data: 'yes' }), { status: 202 });
  recorder.release('step-2');
  await told(
    await start(admin, 'recorded-steps', { recorder: recorder.url, steps: 1 }, { delayMs: 2_000 }),
    'run.completed',
  );
  for (const id of [running, queued, waiting, parent]) t.equal(await stateOf(id), 'quarantined');
  t.equal(recorder.calls.filter((call) => call.startsWith(queued)).length, 0, 'no line of the queued run ran');

  const listed = await admin.get<{ items: object[] }>('/api/admin/contain');
  t.match(listed.body.items, [{ user: 'manager@flowstate.local', reason: 'a test of it', streams: 5 }]);
  t.match(await contain('user:manager@flowstate.local'), {
    status: 200,
    body: { id: receipt.id, sessions: 3, runs: { running: 1, queued: 1, waiting: 4 } },
  });

  const again = Promise.all([running, queued, waiting].map((id) => told(id, 'run.completed')));
  t.match(await release('user:manager@flowstate.local'), { status: 200, body: { runs: 6, note: /stay revoked/ } });
  await again;
  t.same((await admin.get<Run>(`/api/runs/${running}`)).body.output, { total: 3 });
  const calls = recorder.calls.filter((call) => call.startsWith(running));
  t.same(
    calls,
    [`${running}/step-1`, `${running}/step-2`, `${running}/step-2`, `${running}/step-3`],
    'step 1 ran once',
  );
  t.ok((await unharmed.all).includes('run.completed'), 'whoever else follows the run sees it through');
  t.equal((await here.client.get('/api/runs')).status, 401, 'sessions stay revoked');
  t.equal((await byKey.get('/api/runs')).status, 401, 'and so do keys');
  t.equal((await login(other.url)).status, 200);
  t.match(await release('user:manager@flowstate.local'), { status: 409, body: { detail: /not contained/ } });
  t.equal((await admin.post(`/api/runs/${parent}/cancel`)).status, 202);

  const audit = await admin.get<{ items: { action: string }[] }>(`/api/admin/audit?subject=${userId}&limit=50`);
  const actions = new Set(audit.body.items.map(({ action }) => action));
  for (const action of ['user.contained', 'runs.quarantined', 'user.released', 'runs.released']) {
    t.ok(actions.has(action), action);
  }
});

t.test('a run that a gateway accepted without having heard of it never begins', async (t) => {
  const { id: userId } = (await (await platform.as('agent')).get<{ id: string }>('/api/auth/me')).body;
  const [before] = await sql<{ epoch: number; workflow: number }[]>`
    SELECT epoch, (SELECT id FROM workflows WHERE name = 'recorded-steps') AS workflow FROM policy`;
  t.equal((await contain('user:agent@flowstate.local')).status, 200);
  const late = {
    id: uuidv7(),
    workflowId: before?.workflow ?? 0,
    queue: 'workflows' as const,
    principalId: userId,
    role: 'agent' as const,
    priority: 5,
    tags: [],
    input: JSON.stringify({ recorder: recorder.url, steps: 1 }),
    webhookUrl: null,
    trace: null,
    delayMs: 0,
    owner: null,
    epoch: before?.epoch ?? 0,
  };
  await acceptRuns(sql, [late]);
  await told(late.id, 'run.quarantined');
  t.equal(await stateOf(late.id), 'quarantined');
  t.same(
    recorder.calls.filter((call) => call.startsWith(late.id)),
    [],
  );
  const over = told(late.id, 'run.completed');
  t.match(await release('user:agent@flowstate.local'), { status: 200, body: { runs: 1 } });
  await over;
  t.same(recorder.calls.filter((call) => call.startsWith(late.id)).length, 1);
});

t.test('an unsafe effect under way stays in doubt', async (t) => {
  const agent = await platform.as('agent');
  recorder.hold('pay');
  const id = await start(agent, 'payment', { recorder: recorder.url });
  await recorder.called(`${id}/pay`);
  const { body } = await contain('user:agent@flowstate.local');
  t.match(body.runs, { running: 1 });
  recorder.release('pay');
  t.equal(await stateOf(id), 'quarantined');
  t.match(await admin.post(`/api/runs/${id}/cancel`), { status: 202 }, 'a cancel does not settle it');
  t.equal(await stateOf(id), 'quarantined');
  t.equal((await release('user:agent@flowstate.local')).status, 200);
  await told(id, 'run.parked');
  t.equal(await stateOf(id), 'parked');
  t.equal(recorder.calls.filter((call) => call === `${id}/pay`).length, 1, 'and was not repeated');
});

t.test('a running agent of a contained user is not ended by the refusal of its next call', async (t) => {
  const agent = await platform.as('agent');
  recorder.hold('between');
  const id = await start(agent, 'asking', { recorder: recorder.url });
  await recorder.called(`${id}/between`);
  await contain('user:agent@flowstate.local');
  recorder.release('between');
  const over = told(id, 'run.completed');
  t.equal((await release('user:agent@flowstate.local')).status, 200);
  await over;
  t.equal(await stateOf(id), 'completed');
});

t.test('schedules of a contained user are late, not lost', async (t) => {
  const manager = await platform.as('manager');
  const { status, body } = await manager.post<{ id: string }>('/api/schedules', {
    workflow: 'doubling',
    input: { n: 2 },
    everyMs: 1_000,
    missed: 'run-once',
  });
  t.equal(status, 201);
  await contain('user:manager@flowstate.local');
  // A firing that was under way is over when it lets go of its schedule.
  await sql`SELECT FROM schedules WHERE id = ${body.id} FOR UPDATE`;
  const fired = async () =>
    (await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM runs WHERE schedule_id = ${body.id}`)[0]?.n;
  const before = await fired();
  t.match(await admin.post(`/api/schedules/${body.id}/trigger`), { status: 409, body: { detail: /contained/ } });
  await told(await start(admin, 'doubling', { n: 1 }, { delayMs: 2_500 }), 'run.completed');
  t.equal(await fired(), before, 'it did not fire');
  t.equal((await release('user:manager@flowstate.local')).status, 200);
  while ((await fired()) === before)
    await told(await start(admin, 'doubling', { n: 1 }, { delayMs: 200 }), 'run.completed');
  t.match((await admin.get(`/api/schedules/${body.id}`)).body, { state: 'active', lastError: null });
  t.equal((await admin.call('DELETE', `/api/schedules/${body.id}`)).status, 204);
});

t.test('streams end when their session, their role or their user does, or a lockdown takes the reading', async (t) => {
  const agent = createClient(other.url, (await platform.as('agent')).token);
  const { id: agentId } = (await agent.get<{ id: string }>('/api/auth/me')).body;
  const run = await start(agent, 'approval', {});
  const again = async () => createClient(other.url, (await platform.as('agent')).token);
  const closesAt = async (what: string, act: () => Promise<{ status: number }>, client: Client) => {
    const stream = follow(client, run);
    const stays = follow(createClient(other.url, admin.token), run);
    await Promise.all([stream.begun, stays.begun]);
    t.ok((await act()).status < 300, what);
    t.equal((await stream.all).at(-1), 'reauth', what);
    return stays;
  };
  const change = (body: object) => admin.call('PATCH', `/api/admin/users/${agentId}`, { body });
  await closesAt('session revoked', () => admin.call('DELETE', `/api/admin/sessions?user=${agentId}`), agent);
  await closesAt('user disabled', () => change({ disabled: true }), await again().catch(() => agent));
  await change({ disabled: false });
  await closesAt('another role', () => change({ role: 'service' }), await again());
  await change({ role: 'agent' });
  const key = await admin.post<{ id: string; key: string }>('/api/admin/keys', {
    userId: agentId,
    name: 'k',
    scopes: ['api'],
  });
  await closesAt(
    'key revoked',
    () => admin.call('DELETE', `/api/admin/keys/${key.body.id}`),
    createClient(other.url, key.body.key),
  );
  const lock = { target: 'GET /api/runs/:id/events', roles: ['admin'], reason: 'test', seconds: 600 };
  const stays = await closesAt('lockdown', () => admin.post('/api/admin/access', lock), await again());
  t.match(await agent.get(`/api/runs/${run}`), { status: 401 });
  t.equal((await admin.post(`/api/runs/${run}/cancel`)).status, 202);
  t.equal((await stays.all).at(-1), 'run.cancelled', 'whom it does not concern reads on');
});

t.test('a process that does not answer is named', async (t) => {
  other.signal('SIGSTOP');
  t.teardown(() => other.signal('SIGCONT'));
  const { body } = await contain('user:service@flowstate.local');
  const silent = body.processes.filter(({ obeyedMs }) => obeyedMs === null);
  t.match(silent, [{ kind: 'gateway' }]);
  t.equal(silent.length, 1);
  t.equal(body.obeyedMs, null);
  other.signal('SIGCONT');
  t.ok((await contain('user:service@flowstate.local')).body.obeyedMs !== null, 'asked again, it has obeyed');
  t.equal((await release('user:service@flowstate.local')).status, 200);
});
