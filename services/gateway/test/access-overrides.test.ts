import type { AccessOverride } from '@flowstate/contracts';
import t from 'tap';
import { createGatewayFixture, type Gateway } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

type Lock = { target: string; roles: string[]; reason?: string; seconds?: number };
const lock = async (gateway: Gateway, token: string, { reason = 'incident 7', ...body }: Lock) =>
  gateway.call('POST', '/api/admin/access', { token, body: { reason, ...body } });
const statusOf = async (gateway: Gateway, token: string, path = '/api/customers') =>
  (await gateway.call('GET', path, { token })).status;

t.test('a lockdown is in force on both gateways, and ends by itself or by hand', async (t) => {
  const { addGateway, users, sql } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const [admin, analyst] = [await here.tokenOf('admin'), await here.tokenOf('analyst')];
  /** Waits for what must come; how long it took is said, and depends on the machine. */
  const until = async (wanted: number, why: string): Promise<void> => {
    const began = performance.now();
    while ((await statusOf(there, analyst)) !== wanted);
    t.comment(`${why}: after ${(performance.now() - began).toFixed(0)} ms`);
  };
  t.equal(await statusOf(there, analyst), 200);
  const before = here.identity.policy.epoch() as number;
  const answer = await lock(here, admin, { target: 'data:read', roles: ['admin'] });
  const made = answer.body as AccessOverride;
  t.match(answer, { status: 201, body: { target: 'data:read', roles: ['admin'], author: 'admin@example.org' } });
  t.ok(made.routes.includes('GET /api/customers'));
  t.equal(await statusOf(here, analyst), 403, 'at once where it was said');
  await until(403, 'in force elsewhere');
  t.equal(here.identity.policy.epoch(), before + 1, 'the epoch rose');
  t.equal(await statusOf(there, admin), 200, 'who was named keeps it');
  t.match(here.audited, [{ action: 'access.locked', actor: users.admin.id, subject: 'data:read', outcome: 'success' }]);

  t.match((await there.call('GET', '/api/admin/access', { token: admin })).body, { items: [{ id: made.id }] });
  const routes = (await there.call('GET', '/api/admin/access/routes', { token: admin })).body as {
    items: { route: string }[];
  };
  t.match(
    routes.items.find(({ route }) => route === 'GET /api/customers'),
    { permission: 'data:read', roles: ['admin'], locked: true, closedToRuns: null },
  );
  t.match(
    routes.items.find(({ route }) => route === 'POST /api/approvals/:id/decision'),
    { permission: 'runs:settle', roles: ['admin', 'manager'], locked: false, closedToRuns: /A person decides/ },
  );
  t.equal((await here.call('DELETE', `/api/admin/access/${made.id}`, { token: admin })).status, 200);
  await until(200, 'ended by hand');
  t.equal((await here.call('DELETE', `/api/admin/access/${made.id}`, { token: admin })).status, 404);
  t.match((await here.call('GET', '/api/admin/access', { token: admin })).body, { items: [] });
  t.match((await here.call('GET', '/api/admin/access?all=true', { token: admin })).body, { items: [{ id: made.id }] });

  await lock(here, admin, { target: 'data:read', roles: [], seconds: 60 });
  t.equal(await statusOf(here, analyst), 403);
  await until(403, 'in force once more');
  // A minute later.
  await sql`UPDATE access_overrides SET expires_at = expires_at - interval '1 minute'`;
  await until(200, 'ended by itself');

  await lock(here, admin, { target: 'data:read', roles: [] });
  await until(403, 'in force again');
  await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()`.catch(() => {});
  t.equal(await statusOf(there, analyst), 403, 'lost connections loosen nothing');
});

t.test('no lockdown takes from an administrator what ends it', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const admin = await gateway.tokenOf('admin');
  for (const target of ['administer', '* /api/*', 'DELETE /api/admin/access/:id', 'POST /api/auth/logout']) {
    t.match(
      await lock(gateway, admin, { target, roles: ['manager'] }),
      { status: 400, body: { errors: [{ field: 'roles' }] } },
      target,
    );
  }
  // However it came there.
  await sql`INSERT INTO access_overrides (id, target, roles, reason, author_id, expires_at)
            VALUES (gen_random_uuid(), '* /api/*', '{}', 'by hand', ${users.admin.id}, now() + interval '1 hour')`;
  await gateway.identity.policy.refresh();
  t.equal(await statusOf(gateway, admin), 403);
  const { items } = (await gateway.call('GET', '/api/admin/access', { token: admin })).body as {
    items: AccessOverride[];
  };
  t.equal((await gateway.call('DELETE', `/api/admin/access/${items[0]?.id}`, { token: admin })).status, 200);
  t.equal(await statusOf(gateway, admin), 200);

  for (const body of [
    { target: 'nothing', roles: [] },
    { target: 'GET /api/health', roles: [] },
    { target: 'POST /api/internal/run-tokens', roles: [] },
    { target: 'GET /api/nowhere', roles: [] },
    { target: 'data:read', roles: ['root'] },
    { target: 'data:read', roles: [], reason: '' },
    { target: 'data:read', roles: [], seconds: 0 },
  ]) {
    t.equal((await lock(gateway, admin, body)).status, 400, JSON.stringify(body));
  }
});

t.test("a lockdown stops a running agent at its next call, and one workflow's alone where it names one", async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const admin = await here.tokenOf('admin');
  const owner = await addWorker(sql);
  const runId = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner });
  const ask = (gateway: Gateway) =>
    gateway.call('POST', '/api/internal/run-tokens', {
      token: secrets.WORKER_API_KEY,
      body: { runId, incarnation: owner },
    });
  const token = (await ask(there)).body['token'] as string;
  t.equal(await statusOf(there, token), 200);

  await lock(here, admin, { target: 'POST /api/workflows/other/runs', roles: ['admin'] });
  await there.identity.policy.refresh();
  t.equal(await statusOf(there, token), 200, 'another workflow is none of its business');

  const made = (await lock(here, admin, { target: 'data:read', roles: ['admin'] })).body as AccessOverride;
  await there.identity.policy.refresh();
  t.equal(await statusOf(there, token), 403, 'what it calls is locked');
  await here.call('DELETE', `/api/admin/access/${made.id}`, { token: admin });
  await there.identity.policy.refresh();
  t.equal(await statusOf(there, token), 200);

  await lock(here, admin, { target: 'POST /api/workflows/probe/runs', roles: ['admin'] });
  await there.identity.policy.refresh();
  t.match(await there.call('GET', '/api/customers', { token }), { status: 403, body: { detail: /may not run probe/ } });
  t.match(await ask(there), { status: 403 }, 'nor gets it a new token');
  const start = (workflow: string) =>
    here.call('POST', `/api/workflows/${workflow}/runs`, { token: admin, body: { input: {} } });
  t.equal((await start('probe')).status, 202);
  const manager = await here.tokenOf('manager');
  for (const path of ['probe', '%70robe']) {
    const refused = await here.call('POST', `/api/workflows/${path}/runs`, { token: manager, body: { input: {} } });
    t.equal(refused.status, 403, `${path}: spelling it otherwise helps nobody`);
  }
});

t.test('each role has an owner in the business', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  const owners = async () => (await gateway.call('GET', '/api/admin/access/owners', { token })).body;
  const before = (await owners()) as { items: { role: string; owner: string | null }[] };
  t.equal(before.items.length, 6);
  t.ok(before.items.every(({ owner }) => owner === null));
  const name = (role: string, body: unknown) =>
    gateway.call('PUT', `/api/admin/access/owners/${role}`, { token, body });
  t.match(await name('agent', { owner: 'Head of Sales', contact: 'sales@example.org' }), { status: 200 });
  t.match(await name('agent', { owner: 'Sales Operations' }), { body: { owner: 'Sales Operations', contact: null } });
  t.match(await owners(), { items: { 3: { role: 'agent', owner: 'Sales Operations' } } });
  t.equal((await name('root', { owner: 'x' })).status, 400);
  t.equal((await name('agent', { owner: '' })).status, 400);
});

t.test('who may not store documents for now imports none either, and goes on importing the rest', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [admin, manager] = [await gateway.tokenOf('admin'), await gateway.tokenOf('manager')];
  const importing = async (entity: string) =>
    (await gateway.call('POST', `/api/import?entity=${entity}`, { token: manager, body: [] })).status;
  t.equal(await importing('documents'), 200);
  t.equal((await lock(gateway, admin, { target: 'POST /api/documents', roles: ['admin'] })).status, 201);
  t.equal(await importing('documents'), 403);
  t.equal(await importing('customers'), 200);
});
