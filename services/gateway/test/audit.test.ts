import { sealAudit } from '@flowstate/store';
import t from 'tap';
import { auditedRoutes } from '../src/audit-trail.ts';
import { createGatewayFixture, password } from './fixtures/gateway-fixture.ts';

type Entry = {
  id: string;
  at: string;
  action: string;
  actor: string | null;
  subject: string | null;
  outcome: string;
  details: Record<string, unknown> | null;
  personal: Record<string, unknown> | null;
};

const id = '018f0000-0000-7000-8000-000000000000';

t.test('who logs in, fails to, is refused or changes something stands in the log', async (t) => {
  const { users, sql, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const admin = await gateway.tokenOf('admin');
  const entries = async (query = ''): Promise<Entry[]> =>
    (await gateway.call('GET', `/api/admin/audit?limit=200${query}`, { token: admin })).body['items'] as Entry[];
  const address = '192.0.2.7';
  const login = (email: string, secret: string) =>
    gateway.call('POST', '/api/auth/login', {
      body: { email, password: secret },
      headers: { 'user-agent': 'audit-test' },
      address,
    });

  const { body } = await login('agent@example.org', password);
  const token = body['accessToken'] as string;
  await login('agent@example.org', 'wrong password here');
  await login('nobody@example.org', 'wrong password here');
  await gateway.call('GET', '/api/runs', { token: 'no.token.atall' });
  await gateway.call('GET', '/api/admin/audit', { token });
  await gateway.call('POST', `/api/runs/${id}/cancel`, { token });
  const first = body['refreshToken'] as string;
  const refresh = (refreshToken: string) => gateway.call('POST', '/api/auth/refresh', { body: { refreshToken } });
  t.equal((await refresh(first)).status, 200);
  t.equal((await refresh(first)).status, 401);
  const other = (await login('agent@example.org', password)).body['accessToken'] as string;
  await gateway.call('POST', '/api/auth/logout', { token: other });
  await gateway.call('PUT', `/admin/queues/api/queues/workflows/${id}/retry`, { token: admin });

  const agent = users.agent.id;
  const found = (await entries()).toReversed();
  t.match(found, [
    {
      action: 'auth.login',
      actor: agent,
      outcome: 'success',
      personal: { email: 'agent@example.org', address, userAgent: 'audit-test' },
    },
    {
      action: 'auth.failed',
      actor: agent,
      outcome: 'denied',
      details: { reason: 'credentials' },
      personal: { address },
    },
    {
      action: 'auth.failed',
      actor: null,
      outcome: 'denied',
      details: { reason: 'credentials' },
      personal: { address },
    },
    { action: 'auth.failed', actor: null, details: { reason: 'malformed', route: '/api/runs' } },
    { action: 'access.denied', actor: agent, outcome: 'denied', details: { route: '/api/admin/audit', status: 403 } },
    { action: 'run.cancel', actor: agent, subject: id, outcome: 'failed', details: { status: 404 } },
    { action: 'auth.refresh', actor: agent, outcome: 'success' },
    { action: 'auth.failed', actor: agent, details: { reason: 'refresh_reused' } },
    { action: 'auth.login', actor: agent },
    { action: 'auth.logout', actor: agent, outcome: 'success' },
    { action: 'queues.change', actor: users.admin.id, subject: id, outcome: 'failed' },
  ]);
  t.notMatch(
    JSON.stringify(found),
    /nobody@example|wrong password|correct horse|fsr_/,
    'no secret, and nobody who is not there',
  );

  t.same(
    (await entries('&outcome=denied&action=auth.failed')).map(({ details }) => details?.['reason']),
    ['refresh_reused', 'malformed', 'credentials', 'credentials'],
  );
  t.equal((await entries(`&actor=${agent}&from=${found[4]?.at}`)).length > 0, true);
  const page = await gateway.call('GET', '/api/admin/audit?limit=3', { token: admin });
  const next = await gateway.call('GET', `/api/admin/audit?limit=3&cursor=${String(page.body['nextCursor'])}`, {
    token: admin,
  });
  const newestFirst = (await entries()).map((entry) => entry.id);
  t.same(
    [page, next].flatMap((answer) => (answer.body['items'] as Entry[]).map((entry) => entry.id)),
    newestFirst.slice(0, 6),
  );

  const exported = await gateway.call('GET', '/api/admin/audit/export?action=auth.login', { token: admin });
  t.same(
    exported.text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as Entry).action),
    ['auth.login', 'auth.login'],
  );

  const erased = await gateway.call('POST', '/api/admin/audit/erase', {
    token: admin,
    body: { subject: 'agent@example.org' },
  });
  t.match(erased, { status: 200, body: { subject: agent } });
  t.ok((await entries(`&actor=${agent}`)).every(({ personal }) => personal === null));
  for (;;) {
    await sealAudit(sql);
    const verdict = await gateway.call('GET', '/api/admin/audit/verify', { token: admin });
    t.match(verdict.body, { ok: true, findings: [] });
    if (verdict.body['pending'] === 0) {
      t.ok((verdict.body['erased'] as number) >= 4);
      break;
    }
  }
  await sql`DELETE FROM audit_log WHERE id = ${found[0]?.id ?? ''}`;
  const verdict = await gateway.call('GET', '/api/admin/audit/verify', { token: admin });
  t.match(verdict.body, { ok: false, findings: [{ kind: 'removed', entry: found[0]?.id }] });
});

t.test('bad filters are named, and no audited route is misspelt', async (t) => {
  const { addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  for (const route of Object.keys(auditedRoutes)) {
    const [method, url] = route.split(' ') as [string, string];
    t.ok(gateway.app.hasRoute({ method, url }), route);
  }
  const admin = await gateway.tokenOf('admin');
  for (const [query, field] of [
    ['outcome=maybe', 'querystring.outcome'],
    ['from=yesterday', 'querystring.from'],
    ['cursor=x', 'querystring.cursor'],
    ['actor=%00', 'querystring.actor'],
    ['limit=0', 'querystring.limit'],
  ] as const) {
    const { status, body } = await gateway.call('GET', `/api/admin/audit?${query}`, { token: admin });
    t.match({ status, body }, { status: 400, body: { errors: [{ field }] } }, query);
  }
  t.equal((await gateway.call('GET', '/api/admin/audit/verify?head=xyz', { token: admin })).status, 400);
  t.equal((await gateway.call('POST', '/api/admin/audit/erase', { token: admin, body: {} })).status, 400);
});

t.test('a flood of equal failures is two entries, and counts them', async (t) => {
  const { sql, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const began = performance.now();
  for (let n = 0; n < 50; n++) await gateway.call('GET', '/api/runs', { token: 'forged' });
  const seconds = (performance.now() - began) / 1_000;
  const counted = async () => {
    await gateway.audit.settled();
    const rows = await sql<
      { details: string }[]
    >`SELECT details FROM audit_log WHERE action = 'auth.failed' ORDER BY id`;
    const repeats = rows.map(({ details }) => (JSON.parse(details) as { repeated?: number }).repeated ?? 0);
    return { rows: rows.length, failures: rows.length + repeats.reduce((sum, n) => sum + n - (n > 0 ? 1 : 0), 0) };
  };
  let seen = await counted();
  while (seen.failures < 50) {
    await new Promise((resolve) => setImmediate(resolve));
    seen = await counted();
  }
  t.equal(seen.failures, 50);
  // Two for each second that the flood lasts, however slow the machine.
  t.ok(seen.rows <= 2 * (Math.ceil(seconds) + 1), `${seen.rows} entries for 50 failures in ${seconds} s`);
});
