import { laneQueue, type Role } from '@flowstate/contracts';
import { publishCensus, publishQueueState, publishWorkflow, setQueuePaused } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture, type Gateway } from './fixtures/gateway-fixture.ts';

const { sql, users, addGateway } = await createGatewayFixture(t);
const gateway = await addGateway();
const entry = { version: '1', description: '', queue: 'workflows' as const, input: {}, output: {} };
await publishWorkflow(sql, { ...entry, name: 'plain' });
await publishWorkflow(sql, { ...entry, name: 'alone', concurrency: { total: 1 } });
await publishWorkflow(sql, { ...entry, name: 'keyed', concurrency: { perKey: 2 } });
const tokens = new Map<Role, string>();
for (const role of ['admin', 'manager', 'service', 'agent'] as const) tokens.set(role, await gateway.tokenOf(role));

type Start = { workflow?: string; role?: Role; body?: object; headers?: Record<string, string>; on?: Gateway };
const start = ({ workflow = 'plain', role = 'manager', body = {}, headers = {}, on = gateway }: Start = {}) =>
  on.call('POST', `/api/workflows/${workflow}/runs`, {
    token: tokens.get(role) as string,
    body: { input: {}, ...body },
    headers,
  });
const admin = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown) =>
  gateway.call(method, path, { token: tokens.get('admin') as string, ...(body !== undefined && { body }) });

type Row = { direct: boolean; capped: boolean };
const rowOf = async (id: unknown): Promise<Row | undefined> => {
  const [row] = await sql<Row[]>`SELECT due_at IS NULL AS direct, capped FROM run_live WHERE id = ${id as string}`;
  return row;
};
const started = async (options: Start = {}): Promise<Row | undefined> => {
  const { status, body } = await start(options);
  if (status !== 202) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  const row = await rowOf(body.id);
  if (row?.direct === true) await jobOf(body.id);
  return row;
};
/** As the controller would say it. */
const publish = async (window: { open: boolean; size?: number; round?: number }) => {
  await publishQueueState(sql, { queue: 'workflows', size: 512, round: 0, ...window });
  await gateway.admission.refresh();
};
const jobs = () => gateway.queues.queues.workflows;
/** The job of a run that goes straight to the queue; the answer to its client does not wait for it. */
const jobOf = async (id: unknown) => {
  for (;;) {
    const job = await jobs().getJob(String(id));
    if (job !== undefined) return job;
  }
};

t.test('a run goes straight to the queue while nobody stands in line, in the round of the feeder', async (t) => {
  await publish({ open: true, round: 7 });
  const { body } = await start({ body: { priority: 3 } });
  t.same(await rowOf(body.id), { direct: true, capped: false });
  t.equal((await jobOf(body.id)).priority, 1 + 7 * 10 + 3);
});

t.test('it stands in line behind others, while the queue is paused, and when Redis cannot be asked', async (t) => {
  await publish({ open: false });
  t.match(await started(), { direct: false });
  await publish({ open: true });
  await setQueuePaused(sql, 'workflows', true);
  await gateway.admission.refresh();
  t.match(await started(), { direct: false });
  await setQueuePaused(sql, 'workflows', false);
  await gateway.admission.refresh();
  t.match(await started(), { direct: true });
  const cut = await addGateway();
  await cut.cable.cut();
  await cut.admission.refresh();
  const answer = await start({ on: cut });
  t.equal(answer.status, 202);
  t.match(await rowOf(answer.body.id), { direct: false });
});

t.test('with no feeder alive only the room in Redis counts', async (t) => {
  await publish({ open: false });
  await sql`UPDATE queue_states SET published_at = now() - interval '10 seconds'`;
  await gateway.admission.refresh();
  t.match(await started(), { direct: true });
});

t.test('a burst fills half of the window at most, and one principal half of that', async (t) => {
  await jobs().obliterate({ force: true });
  await publish({ open: true, size: 400 });
  const burst = await Promise.all(Array.from({ length: 40 }, () => start()));
  t.ok(burst.every(({ status }) => status === 202));
  for (const { body } of burst) await jobOf(body.id);
  await publish({ open: true, size: 64 });
  // Forty wait, the half is 32: no room.
  t.match(await started({ role: 'service' }), { direct: false });
  await publish({ open: true, size: 100 });
  // Ten places left at the look that was: five for one, the others for others.
  const mine = await Promise.all(Array.from({ length: 8 }, () => start()));
  const direct = (await Promise.all(mine.map(({ body }) => rowOf(body.id)))).filter((row) => row?.direct);
  t.equal(direct.length, 5);
  t.match(await started({ role: 'service' }), { direct: true });
});

t.test('a run to which a cap applies stands in line', async (t) => {
  await jobs().obliterate({ force: true });
  await publish({ open: true });
  t.same(await started({ workflow: 'alone' }), { direct: false, capped: true }, 'the workflow declares one');
  t.same(await started({ workflow: 'keyed' }), { direct: true, capped: false }, 'without a key none');
  t.same(await started({ workflow: 'keyed', body: { concurrencyKey: 'k' } }), { direct: false, capped: true });
  const refused = await start({ body: { concurrencyKey: 'k' } });
  t.equal(refused.status, 400);
  t.match(refused.body, { code: 'invalid_input', errors: [{ field: 'concurrencyKey' }] });
  for (const limit of [
    { scope: 'principal', subject: users.manager.id, maxConcurrent: 9 },
    { scope: 'role', subject: 'manager', maxConcurrent: 9 },
    { scope: 'default', maxConcurrent: 9 },
    { scope: 'workflow', subject: 'plain', maxConcurrent: 9 },
  ]) {
    t.equal((await admin('PUT', '/api/admin/limits', limit)).status, 200);
    t.same(await started(), { direct: false, capped: true }, limit.scope);
    const where = new URLSearchParams({ scope: limit.scope, subject: limit.subject ?? '' });
    t.equal((await admin('DELETE', `/api/admin/limits?${where.toString()}`)).status, 204);
    t.same(await started(), { direct: true, capped: false });
  }
});

t.test('who has too many runs that have not ended is told so, and nobody else is', async (t) => {
  const census = async (runs: number) => {
    const [clock] = await sql<{ now: Date }[]>`SELECT now()`;
    await publishCensus(sql, { countedAt: clock?.now ?? new Date(0), crowded: { [users.agent.id]: runs } });
    await gateway.admission.refresh();
  };
  await census(0);
  await admin('PUT', '/api/admin/limits', { scope: 'role', subject: 'agent', maxBacklog: 5 });
  const key = { 'idempotency-key': 'once' };
  const first = await start({ role: 'agent', headers: key });
  const answers = await Promise.all(Array.from({ length: 9 }, () => start({ role: 'agent' })));
  const refused = answers.filter(({ status }) => status !== 202);
  t.equal(refused.length, 5, 'also of many at once');
  t.match(refused[0], { status: 429, body: { code: 'rate_limited', detail: /^5 of your runs .*maxBacklog/ } });
  t.ok(Number(refused[0]?.headers['retry-after']) > 0);
  t.equal((await start({ role: 'manager' })).status, 202);
  const [count] = await sql<
    { n: number }[]
  >`SELECT count(*)::int AS n FROM runs WHERE principal_id = ${users.agent.id}`;
  t.equal(count?.n, 5, 'a refusal leaves the ledger unchanged');
  t.match(
    await start({ role: 'agent', headers: key }),
    { status: 202, body: { id: first.body.id } },
    'a replay is none',
  );

  const token = tokens.get('agent') as string;
  t.equal((await gateway.call('POST', `/api/runs/${String(first.body.id)}/cancel`, { token })).status, 202);
  t.equal((await start({ role: 'agent' })).status, 202, 'what has ended since does not count');
  t.equal((await start({ role: 'agent' })).status, 429);
  await census(5);
  t.equal((await start({ role: 'agent' })).status, 429, 'what the count holds is not counted twice, nor forgotten');
  await census(4);
  t.equal((await start({ role: 'agent' })).status, 202);
  t.equal((await start({ role: 'agent' })).status, 429);
  await admin('DELETE', '/api/admin/limits?scope=role&subject=agent');
  t.equal((await start({ role: 'agent' })).status, 202);
});

t.test('more than the buffer holds is a 503 with Retry-After, and what was taken is kept', async (t) => {
  const input = 'x'.repeat(1_000_000);
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const lock = sql.begin(async (tx) => {
    await tx`LOCK TABLE run_live IN ACCESS EXCLUSIVE MODE`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  const answers = Array.from({ length: 72 }, () => start({ body: { input } }));
  // 64 MiB fit; the first refusal comes while all others still wait for the lock.
  const refused = await Promise.any(
    answers.map(async (answer) => {
      const { status, headers, body } = await answer;
      if (status === 202) throw new Error('taken');
      return { status, headers, body };
    }),
  );
  t.match(refused, { status: 503, body: { code: 'unavailable' } });
  t.ok(Number(refused.headers['retry-after']) > 0);
  release.resolve();
  await lock;
  const ids = (await Promise.all(answers)).flatMap(({ status, body }) => (status === 202 ? [String(body.id)] : []));
  const [count] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM runs WHERE id = ANY(${ids}::uuid[])`;
  t.equal(count?.n, ids.length);
  t.ok(ids.length >= 60, `${ids.length} were taken`);
});

t.test('limits are for administrators, and bad ones are named', async (t) => {
  const put = (body: object) => admin('PUT', '/api/admin/limits', body);
  for (const [body, field] of [
    [{ scope: 'team', weight: 2 }, 'scope'],
    [{ scope: 'default' }, 'maxConcurrent'],
    [{ scope: 'default', subject: 'x', weight: 2 }, 'subject'],
    [{ scope: 'role', subject: 'king', weight: 2 }, 'subject'],
    [{ scope: 'principal', subject: 'me', weight: 2 }, 'subject'],
    [{ scope: 'principal', subject: '00000000-0000-7000-8000-000000000000', weight: 2 }, 'subject'],
    [{ scope: 'workflow', subject: 'unheard-of', maxConcurrent: 2 }, 'subject'],
    [{ scope: 'workflow', subject: 'plain', weight: 2 }, 'weight'],
    [{ scope: 'default', weight: 0 }, 'weight'],
    [{ scope: 'default', maxConcurrent: 0 }, 'maxConcurrent'],
    [{ scope: 'default', maxSearchLimit: 101 }, 'maxSearchLimit'],
    [{ scope: 'default', minSearchThreshold: 1.1 }, 'minSearchThreshold'],
    [{ scope: 'workflow', subject: 'plain', maxSearchLimit: 5 }, 'maxSearchLimit'],
    [{ scope: 'default', weight: 2, colour: 'red' }, 'colour'],
  ] as const) {
    t.match(await put(body), { status: 400, body: { errors: [{ field }] } }, JSON.stringify(body));
  }
  t.same((await admin('GET', '/api/admin/limits')).body, { items: [], nextCursor: null });
  const given = { scope: 'role', subject: 'agent', maxConcurrent: 3, weight: 2, minSearchThreshold: 0.5 };
  const limit = { ...given, maxBacklog: null, maxSearchLimit: null };
  t.same((await put(given)).body, limit);
  t.same((await admin('GET', '/api/admin/limits')).body, { items: [limit], nextCursor: null });
  t.equal((await admin('DELETE', '/api/admin/limits?scope=role&subject=agent')).status, 204);
  t.equal((await admin('DELETE', '/api/admin/limits?scope=role&subject=agent')).status, 404);
  const token = tokens.get('manager') as string;
  t.equal((await gateway.call('GET', '/api/admin/limits', { token })).status, 403);
  t.equal((await gateway.call('POST', '/api/admin/queues/workflows/pause', { token })).status, 403);
});

t.test('a queue is paused and resumed at run time', async (t) => {
  const isPaused = () => jobs().isPaused();
  t.match(await admin('POST', '/api/admin/queues/workflows/pause'), {
    status: 200,
    body: { queue: 'workflows', paused: true },
  });
  t.equal(await isPaused(), true);
  t.match(await admin('GET', '/api/admin/queues'), {
    body: {
      items: [
        { queue: 'workflows', paused: true },
        { queue: 'documents', paused: false },
      ],
    },
  });
  t.match((await admin('POST', '/api/admin/queues/workflows/resume')).body, { paused: false });
  t.equal(await isPaused(), false);
  t.match(await admin('POST', `/api/admin/queues/${laneQueue('workflows', 'suspects')}/pause`), {
    status: 400,
    body: { errors: [{ field: 'params.queue' }] },
  });
});
