import { changeUserAccess, publishWorkflow, upsertCustomers } from '@flowstate/store';
import t, { type Test } from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

type Body = Record<string, unknown>;
const yearly = '0 0 1 1 *';
const unknown = '018f0000-0000-7000-8000-000000000000';

async function createFixture(t: Test) {
  const fixture = await createGatewayFixture(t);
  const gateway = await fixture.addGateway();
  const rest = { description: '', queue: 'workflows', output: {} } as const;
  await publishWorkflow(fixture.sql, {
    ...rest,
    name: 'insights',
    version: '1',
    input: {
      type: 'object',
      properties: {
        customerId: { type: 'string', 'x-flowstate-entity': 'customer' },
        depth: { type: 'integer', default: 3 },
      },
      required: ['customerId'],
    },
  });
  await upsertCustomers(fixture.sql, [
    {
      externalId: 'C-1',
      name: 'One',
      industry: null,
      segment: null,
      country: null,
      employees: null,
      annualRevenue: null,
      owner: null,
      since: null,
    },
  ]);
  const token = await gateway.tokenOf('manager');
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown, as = token) =>
    gateway.call(method, path, { token: as, ...(body !== undefined && { body }) });
  const valid: Body = { workflow: 'insights', input: { customerId: 'C-1' }, cron: yearly };
  return {
    ...fixture,
    gateway,
    call,
    valid,
    create: (body: Body = {}) => call('POST', '/api/schedules', { ...valid, ...body }),
  };
}

t.test('created, read, listed, edited, paused, resumed, deleted', async (t) => {
  const { call, create, users } = await createFixture(t);
  const created = await create();
  t.match(created, {
    status: 201,
    body: {
      ownerId: users.manager.id,
      name: null,
      workflow: 'insights',
      input: { customerId: 'C-1' },
      cron: yearly,
      everyMs: null,
      timezone: 'UTC',
      missed: 'run-once',
      overlap: 'allow',
      priority: 5,
      tags: [],
      enabled: true,
      state: 'active',
      nextAt: /^\d{4}-01-01T00:00:00\.000Z$/,
      lastRunId: null,
      lastError: null,
    },
  });
  t.notMatch(created.body, { revision: Number });
  const path = String(created.headers.location);
  t.equal(path, `/api/schedules/${String(created.body.id)}`);
  t.same((await call('GET', path)).body, created.body);

  const full = {
    name: 'hourly',
    cron: undefined,
    everyMs: 3_600_000,
    timezone: 'Asia/Tokyo',
    missed: 'run-all',
    overlap: 'cancel-previous',
    priority: 0,
    tags: ['a'],
    startAt: '2999-01-01T00:00:00.000Z',
    endAt: '2999-01-02T00:00:00.000Z',
  };
  const second = await create(full);
  t.match(second, { status: 201, body: { ...full, cron: null, nextAt: '2999-01-01T00:00:00.000Z' } });
  const page = await call('GET', '/api/schedules?limit=1');
  t.match(page.body, { items: [{ id: second.body.id }], nextCursor: second.body.id });
  const rest = await call('GET', `/api/schedules?limit=1&cursor=${String(page.body.nextCursor)}`);
  t.match(rest.body, { items: [{ id: created.body.id }], nextCursor: null });

  const edited = await call('PATCH', path, { everyMs: 60_000, tags: ['b'] });
  t.match(edited, { status: 200, body: { cron: null, everyMs: 60_000, tags: ['b'], priority: 5 } });
  t.match(await call('PATCH', path, { cron: '@daily', timezone: 'Europe/Berlin' }), {
    body: { cron: '@daily', everyMs: null, nextAt: /T2[23]:00:00/ },
  });
  t.match(await call('PATCH', path, { enabled: false }), { status: 200, body: { state: 'paused', nextAt: null } });
  t.match(await call('PATCH', path, { name: 'renamed' }), { body: { state: 'paused', nextAt: null, name: 'renamed' } });
  t.match(await call('PATCH', path, { enabled: true, name: null }), { body: { state: 'active', name: null } });
  const stale = await Promise.all([1, 2, 3, 4].map((priority) => call('PATCH', path, { priority })));
  t.ok(
    stale.every(({ status }) => status === 200 || status === 409),
    'of edits at once some are told to look again',
  );
  const winner = stale.findLast(({ status }) => status === 200);
  t.ok(winner);

  t.equal((await call('DELETE', path)).status, 204);
  for (const [method, body] of [
    ['GET', undefined],
    ['PATCH', { priority: 1 }],
    ['PATCH', { enabled: false }],
    ['DELETE', undefined],
  ] as const) {
    t.equal((await call(method, path, body)).status, 404, method);
  }
  t.equal((await call('POST', `${path}/trigger`)).status, 404);
});

t.test('what can never fire is refused, and the field is named', async (t) => {
  const { call, create, sql } = await createFixture(t);
  const refused = async (body: Body, field: string, message: RegExp | string) => {
    const answer = await create(body);
    t.match(
      answer,
      { status: 400, body: { code: 'invalid_input', errors: [{ field, message }] } },
      JSON.stringify(body),
    );
  };
  await refused({ cron: '0 0 30 2 *' }, 'cron', 'never fires');
  await refused({ cron: yearly, endAt: new Date(Date.now() + 60_000).toISOString() }, 'cron', /^never fires between/);
  await refused({ cron: '99 * * * *' }, 'cron', /not a cron pattern/);
  await refused({ cron: undefined }, 'cron', 'or everyMs is required');
  await refused({ everyMs: 60_000 }, 'cron', /exclude each other/);
  await refused({ cron: undefined, everyMs: 10 }, 'everyMs', 'must be >= 1000');
  await refused({ timezone: 'Europe/Atlantis' }, 'timezone', 'is not a known IANA time zone');
  await refused({ endAt: '2020-01-01T00:00:00Z' }, 'endAt', 'is past');
  await refused({ startAt: 'tomorrow' }, 'startAt', /date-time/);
  await refused({ startAt: '2016-12-31T23:59:60Z' }, 'startAt', 'is not a time');
  await refused({ missed: 'never' }, 'missed', 'must be one of skip, run-once, run-all');
  await refused({ overlap: 'queue' }, 'overlap', /must be one of/);
  await refused({ priority: 10 }, 'priority', 'must be <= 9');
  await refused({ tags: ['a\u0000b'] }, 'tags.0', /U\+0000/);
  await refused({ name: '\u0000' }, 'name', /U\+0000/);
  await refused({ colour: 'red' }, 'colour', 'is not known here');
  await refused({ workflow: 'nothing' }, 'workflow', 'does not exist');
  await refused({ workflow: 'a\u0000' }, 'workflow', /U\+0000/);
  await refused({ input: {} }, 'input.customerId', 'is required');
  await refused({ input: { customerId: 'C-1', depth: 'deep' } }, 'input.depth', 'must be integer');
  await refused({ input: { customerId: 'nobody' } }, 'input.customerId', 'does not exist');
  await refused({ input: { customerId: 'C-1', more: 'x'.repeat(262_144) } }, 'input', /over 262144 bytes/);
  await refused({ input: undefined }, 'input', 'is required');
  const [{ count } = { count: -1 }] = await sql<{ count: number }[]>`SELECT count(*) FROM schedules`;
  t.equal(count, 0, 'nothing was kept');

  const { body } = await create();
  const path = `/api/schedules/${String(body.id)}`;
  const unchanged = async (patch: Body, field: string) =>
    t.match(await call('PATCH', path, patch), { status: 400, body: { errors: [{ field }] } }, JSON.stringify(patch));
  await unchanged({ cron: '0 0 31 2 *' }, 'cron');
  await unchanged({ everyMs: 60_000, cron: yearly }, 'cron');
  await unchanged({ input: {} }, 'input.customerId');
  await unchanged({ workflow: 'nothing' }, 'workflow');
  await unchanged({ id: unknown }, 'id');
  t.equal((await call('PATCH', path, {})).status, 400);
  t.same((await call('GET', path)).body, body);
  t.equal((await call('GET', '/api/schedules/none')).status, 400);
  t.equal((await call('GET', '/api/schedules?cursor=x')).status, 400);
});

t.test('whoever says what it does is its owner, and it runs for them', async (t) => {
  const { call, create, gateway, sql, users } = await createFixture(t);
  const admin = await gateway.tokenOf('admin');
  const created = await create();
  const path = `/api/schedules/${String(created.body.id)}`;
  const triggered = await call('POST', `${path}/trigger`, undefined, admin);
  t.match(triggered, {
    status: 202,
    body: { state: 'queued', scheduleId: created.body.id, input: { customerId: 'C-1', depth: 3 } },
  });
  t.equal(triggered.headers.location, `/api/runs/${String(triggered.body.id)}`);
  const [run] = await sql`SELECT principal_id, role FROM runs WHERE id = ${String(triggered.body.id)}`;
  t.match(run, { principal_id: users.manager.id, role: 'manager' }, 'whoever pulled the trigger');
  t.match((await call('GET', path)).body, { lastRunId: triggered.body.id, nextAt: created.body.nextAt });
  t.match((await call('GET', `/api/runs?scheduleId=${String(created.body.id)}`)).body.items, [
    { id: triggered.body.id },
  ]);
  t.match((await call('GET', `/api/runs?scheduleId=${unknown}`)).body.items, []);

  await call('PATCH', path, { enabled: false }, admin);
  t.match((await call('PATCH', path, { enabled: true }, admin)).body, { ownerId: users.manager.id });
  t.match((await call('PATCH', path, { priority: 1 }, admin)).body, { ownerId: users.admin.id });
  t.match((await call('PATCH', path, { overlap: 'skip' })).body, { ownerId: users.manager.id });
  t.match(await call('POST', `${path}/trigger`), { status: 409, body: { detail: /not over/ } });

  const ofAdmin = await call(
    'POST',
    '/api/schedules',
    { workflow: 'insights', input: { customerId: 'C-1' }, everyMs: 60_000 },
    admin,
  );
  const other = `/api/schedules/${String(ofAdmin.body.id)}`;
  await changeUserAccess(sql, users.analyst.id, { role: 'admin' }); // somebody has to be
  await changeUserAccess(sql, users.admin.id, { disabled: true });
  t.match(await call('POST', `${other}/trigger`), { status: 409, body: { detail: /owner is disabled/ } });
  await sql`UPDATE schedules SET next_at = NULL, last_error = 'Its owner is disabled' WHERE id = ${String(ofAdmin.body.id)}`;
  t.match((await call('GET', other)).body, { state: 'suspended', lastError: 'Its owner is disabled', nextAt: null });
  t.match(
    await call('PATCH', other, { enabled: true }),
    { status: 200, body: { state: 'active', lastError: null, ownerId: users.manager.id, nextAt: String } },
    'who resumes what its owner cannot run any more takes it over',
  );
  t.equal((await call('POST', `${other}/trigger`)).status, 202);
});

t.test('only admins and managers', async (t) => {
  const { gateway, valid } = await createFixture(t);
  for (const role of ['analyst', 'agent', 'integration', 'service'] as const) {
    const answer = await gateway.call('POST', '/api/schedules', { token: await gateway.tokenOf(role), body: valid });
    t.equal(answer.status, 403, role);
  }
  t.equal((await gateway.call('GET', '/api/schedules')).status, 401);
});

t.test("a run changes no schedule: none of its owner's, which would outlive it, and nobody else's", async (t) => {
  const { call, create, gateway, secrets, sql, users, valid } = await createFixture(t);
  const worker = await addWorker(sql);
  const runId = await addRun(sql, { principalId: users.manager.id, role: 'manager', owner: worker });
  const { body } = await gateway.call('POST', '/api/internal/run-tokens', {
    token: secrets.WORKER_API_KEY,
    body: { runId, incarnation: worker },
  });
  const token = body['token'] as string;
  const own = await create();
  const theirs = await call('POST', '/api/schedules', valid, await gateway.tokenOf('admin'));
  t.match([own.status, theirs.status], [201, 201]);
  t.equal((await call('POST', '/api/schedules', valid, token)).status, 403);
  for (const { headers } of [own, theirs]) {
    const path = String(headers.location);
    const before = (await call('GET', path)).body;
    for (const [method, at, change] of [
      ['PATCH', path, { cron: '@daily' }],
      ['PATCH', path, { enabled: false }],
      ['POST', `${path}/trigger`, undefined],
      ['DELETE', path, undefined],
    ] as const) {
      const answer = await call(method, at, change, token);
      t.match(answer, { status: 403, body: { detail: /A run may not/ } }, `${method} ${at}`);
    }
    t.same((await call('GET', path, undefined, token)).body, before, 'which it may read');
  }
});
