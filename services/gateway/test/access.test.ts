import { roles, type Role } from '@flowstate/contracts';
import Fastify from 'fastify';
import { insertOverride } from '@flowstate/store';
import t, { type Test } from 'tap';
import { enforceAccess, type Rule } from '../src/access.ts';
import { createAccessRules } from '../src/access-rules.ts';
import type { App } from '../src/deps.ts';
import { access, permissions } from '../src/routes/index.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

const id = '018f0000-0000-7000-8000-000000000000';
/** Something behind each prefix of the table. */
const behind: Record<string, string> = {
  'GET /api/docs/*': '/api/docs/json',
  'GET /admin/queues/*': '/admin/queues/api/queues',
  'PUT /admin/queues/*': `/admin/queues/api/queues/workflows/${id}/retry`,
  'POST /admin/queues/*': '/admin/queues/api/queues/workflows/add',
  'PATCH /admin/queues/*': `/admin/queues/api/queues/workflows/${id}/priority`,
  'DELETE /admin/queues/*': `/admin/queues/api/queues/workflows/${id}`,
};

type Fixture = Awaited<ReturnType<typeof createGatewayFixture>>;
type Gateway = Awaited<ReturnType<Fixture['addGateway']>>;

/** Asks every route as every role, and as nobody; `rules` says who should get in. */
async function walk(t: Test, gateway: Gateway, rules: Record<string, Rule>): Promise<void> {
  for (const [entry, rule] of Object.entries(rules)) {
    const [method, pattern] = entry.split(' ') as [string, string];
    const url = behind[entry] ?? pattern.replaceAll(/:\w+/g, id);
    if (!pattern.endsWith('*')) t.ok(gateway.app.hasRoute({ method, url: pattern }), `${entry} exists`);

    const ask = async (role: Role | null): Promise<'open' | 'unknown' | 'refused'> => {
      // A token of its own each time: a logout must not speak for the next route.
      const token = role === null ? {} : { token: await gateway.tokenOf(role) };
      const { status, body } = await gateway.call(method, url, token);
      t.not(status, 500, `${entry} as ${role}`);
      if (status === 401 && body['code'] === 'invalid_token') return 'unknown';
      return status === 403 && String(body['detail']).startsWith('The role') ? 'refused' : 'open';
    };
    const expected = (role: Role | null): string => {
      if (rule === 'open') return 'open';
      if (rule === 'worker' || role === null) return 'unknown';
      return rule.includes(role) ? 'open' : 'refused';
    };
    // Refreshing without a token of its own is a 400 here, never a question of who asks.
    for (const role of [null, ...roles]) t.equal(await ask(role), expected(role), `${entry} as ${role ?? 'nobody'}`);
  }
}

t.test('every route lets in exactly the roles of its row', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  await walk(t, await addGateway(), access);
});

t.test('and, under a lockdown, exactly those that it leaves', async (t) => {
  const { addGateway, users, sql } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const lock = (target: string, keep: Role[]) =>
    insertOverride(sql, { target, roles: keep, reason: 'test', seconds: 600, authorId: users.admin.id });
  await lock('runs:read', ['admin', 'manager']);
  await lock('POST /api/search/semantic', ['analyst']);
  await lock('* /api/customers/*', []);
  await lock('data:write', ['agent', 'manager']);
  await lock('data:write', ['agent', 'analyst']);
  await gateway.identity.policy.refresh();
  const only = (rule: Rule | undefined, keep: readonly Role[]): Rule =>
    Array.isArray(rule) ? (rule as readonly Role[]).filter((role) => keep.includes(role)) : [];
  const expected = Object.fromEntries(
    Object.entries(access).map(([entry, rule]): [string, Rule] => {
      if (rule === permissions['runs:read']) return [entry, only(rule, ['admin', 'manager'])];
      if (entry === 'POST /api/search/semantic') return [entry, ['analyst']];
      if (entry.includes(' /api/customers/')) return [entry, []];
      if (rule === permissions['data:write']) return [entry, ['agent']];
      return [entry, rule];
    }),
  );
  await walk(t, gateway, expected);
});

t.test('a route without a row does not boot, and HEAD needs what GET needs', async (t) => {
  const app: App = Fastify();
  enforceAccess(app, createAccessRules({ table: { 'GET /known': 'open' }, permissions: {}, overrides: () => [] }), {
    authenticate: () => Promise.reject(new Error()),
    authenticateWorker: () => {},
  });
  app.get('/known', () => '');
  t.throws(() => app.get('/forgotten', () => ''), /GET \/forgotten has no access rule/);
  t.throws(() => app.post('/known', () => ''), /POST \/known has no access rule/);
  await app.close();

  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  t.equal((await gateway.call('HEAD', '/api/auth/me')).status, 401);
  t.equal((await gateway.call('HEAD', '/api/auth/me', { token: await gateway.tokenOf('agent') })).status, 200);
  for (const path of [
    '/api/nothing',
    '/API/auth/me',
    '/api/auth/me/',
    '//api/auth/me',
    '/admin',
    '/admin/queues/static/../../secret',
  ]) {
    t.equal((await gateway.call('GET', path)).status, 404, path);
  }
});
