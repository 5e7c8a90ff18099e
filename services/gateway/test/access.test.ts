import diagnostics from 'node:diagnostics_channel';
import { roles, type Role } from '@flowstate/contracts';
import Fastify from 'fastify';
import { insertOverride } from '@flowstate/store';
import t, { type Test } from 'tap';
import { enforceAccess } from '../src/access.ts';
import { entryOf, ruleIn, whyClosedToRuns, type Rule } from '../src/access-rows.ts';
import { createAccessRules } from '../src/access-rules.ts';
import type { App } from '../src/gateway-app.ts';
import { access, permissions } from '../src/routes/index.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

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

const rules = Object.fromEntries(Object.entries(access).map(([entry, row]) => [entry, ruleIn(row)]));

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
  await walk(t, await addGateway(), rules);
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
    Object.entries(rules).map(([entry, rule]): [string, Rule] => {
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

/**
 * What a run may call, as far as the user it acts for may. Every other route refuses it: a new one stands here, or its
 * row says why it is closed to runs.
 */
const openToRuns = [
  'GET /api/health',
  'GET /api/ready',
  'GET /api/metrics',
  'GET /api/openapi.json',
  'GET /api/docs',
  'GET /api/docs/*',
  'POST /api/auth/login',
  'POST /api/auth/refresh',
  'GET /api/auth/me',
  'GET /api/workflows',
  'GET /api/workflows/:name',
  'POST /api/workflows/:name/runs',
  'GET /api/runs',
  'GET /api/runs/:id',
  'GET /api/runs/:id/steps',
  'GET /api/runs/:id/explain',
  'GET /api/runs/:id/webhook',
  'GET /api/runs/:id/payloads/:ref',
  'POST /api/runs/cancel',
  'POST /api/runs/retry',
  'POST /api/runs/:id/cancel',
  'POST /api/runs/:id/retry',
  'POST /api/runs/:id/fork',
  'POST /api/runs/:id/signals/:name',
  'POST /api/runs/:id/webhook/redeliver',
  'POST /api/approvals',
  'GET /api/approvals',
  'GET /api/approvals/:id',
  'POST /api/webhooks',
  'POST /api/evaluations',
  'GET /api/evaluations',
  'GET /api/evaluations/:id',
  'GET /api/schedules',
  'GET /api/schedules/:id',
  'POST /api/documents',
  'GET /api/documents',
  'DELETE /api/documents',
  'PUT /api/documents/embeddings',
  'GET /api/documents/:id',
  'DELETE /api/documents/:id',
  'POST /api/search/semantic',
  'POST /api/search/hybrid',
  'GET /api/search/similar/:documentId',
  'POST /api/search/recommendations',
  'POST /api/search/recommendations/:id/feedback',
  'GET /api/collections',
  'GET /api/collections/:name',
  'GET /api/collections/:name/reindex/documents',
  'POST /api/collections/:name/reindex/switch',
  'GET /api/customers',
  'POST /api/customers',
  'GET /api/customers/:id',
  'GET /api/customers/:id/interactions',
  'GET /api/customers/:id/opportunities',
  'GET /api/customers/:id/integrations',
  'GET /api/customers/:id/follow-ups',
  'POST /api/customers/:id/follow-ups',
  'GET /api/interactions',
  'POST /api/interactions',
  'GET /api/opportunities',
  'POST /api/opportunities',
  'GET /api/opportunities/base-rates',
  'GET /api/integrations',
  'POST /api/integrations',
  'POST /api/import',
  'GET /api/usage',
  'GET /api/scaling/:queue',
  'GET /admin/login',
  'POST /admin/login',
];

t.test('a run may call what is said here and nothing else, and the description of the API says so', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const routes: { method: string; url: string }[] = [];
  const follow = (message: unknown) => {
    diagnostics.unsubscribe('fastify.initialization', follow); // others are made for a moment
    const { fastify } = message as { fastify: App };
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) routes.push({ method: each, url });
    });
  };
  diagnostics.subscribe('fastify.initialization', follow);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  // Whatever it is refused is not for its role.
  const runId = await addRun(sql, { principalId: users.admin.id, role: 'admin', owner });
  const issued = await gateway.call('POST', '/api/internal/run-tokens', {
    token: secrets.WORKER_API_KEY,
    body: { runId, incarnation: owner },
  });
  const token = issued.body['token'] as string;

  const seen = new Set<string>();
  const description = (await gateway.call('GET', '/api/openapi.json')).body as {
    paths: Record<string, Record<string, { description?: string }>>;
  };
  for (const { method, url } of routes) {
    if (method === 'OPTIONS') continue;
    const entry = entryOf(access, method === 'HEAD' ? 'GET' : method, url) ?? '';
    seen.add(entry);
    const path = url.replaceAll(/:\w+/g, id).replace('*', 'x');
    const { status, body } = await gateway.call(method, path, { token });
    const may = openToRuns.includes(entry);
    t.equal([401, 403].includes(status), !may, `${method} ${url}: ${status} ${String(body['detail'])}`);
    const row = access[entry];
    const closed = whyClosedToRuns(row);
    t.equal(closed === null && row !== 'worker', may, `the row of ${entry}`);
    const described = description.paths[url.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
    if (described === undefined || closed === null) continue;
    t.ok(described.description?.endsWith(`${closed}.`), `the description of ${entry}`);
  }
  t.same([...seen].toSorted(), Object.keys(access).toSorted(), 'every row is of a route, and every route has one');
  t.same(
    openToRuns.filter((entry) => !seen.has(entry)),
    [],
  );
});
