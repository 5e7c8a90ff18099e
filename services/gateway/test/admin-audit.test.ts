import t from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

type Entry = {
  action: string;
  actor: string;
  subject: string | null;
  outcome: string;
  details: Record<string, unknown>;
};

t.test('a change by an administrator is one entry, which tells what was changed and by what', async (t) => {
  const { users, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  const { agent } = users;
  const seen = new Set<string>();
  async function entriesOf(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: object): Promise<Entry[]> {
    await gateway.call(method, url, { token, ...(body && { body }) });
    const answer = await gateway.call('GET', '/api/admin/audit?limit=200', { token });
    const fresh = (answer.body['items'] as (Entry & { id: string })[]).filter(({ id }) => !seen.has(id));
    for (const { id } of fresh) seen.add(id);
    return fresh;
  }
  const reason = 'a test';
  const by = { actor: users.admin.id, outcome: 'success', details: { session: String, requestId: String } };
  const lock = { target: 'data:read', roles: ['admin'], reason, seconds: 60 };
  const [locked] = await entriesOf('POST', '/api/admin/access', lock);
  const override = String(locked?.details['override']);
  const limit = { scope: 'principal', subject: agent.id, weight: 3 };
  const email = { email: 'new@example.org', name: 'New', role: 'agent' };
  const subject = `user:${users.service.id}`;
  for (const [method, url, body, actions] of [
    ['DELETE', `/api/admin/access/${override}`, undefined, ['access.released']],
    ['PUT', '/api/admin/access/owners/agent', { owner: 'Ann' }, ['access.owner_named']],
    ['PUT', '/api/admin/limits', limit, ['limit.set']],
    ['DELETE', `/api/admin/limits?scope=principal&subject=${agent.id}`, undefined, ['limit.removed']],
    ['PUT', '/api/admin/budgets', { level: 'run', period: 'total', maxTokens: 5 }, ['budget.set']],
    ['DELETE', '/api/admin/budgets?level=run&period=total', undefined, ['budget.removed']],
    ['POST', '/api/admin/queues/workflows/pause', undefined, ['queue.paused']],
    ['POST', '/api/admin/queues/workflows/resume', undefined, ['queue.resumed']],
    ['POST', '/api/admin/users', email, ['user.created']],
    ['PATCH', `/api/admin/users/${agent.id}`, { name: 'Other' }, ['user.changed']],
    ['POST', '/api/admin/keys', { userId: agent.id, name: 'k', scopes: ['api'] }, ['key.created']],
    ['DELETE', `/api/admin/sessions?user=${agent.id}`, undefined, ['session.all_revoked']],
    ['POST', '/api/admin/sessions/verify', undefined, ['session.verified']],
    ['POST', '/api/admin/audit/erase', { subject: agent.id }, ['audit.erase']],
    ['POST', '/api/admin/contain', { subject, reason }, ['user.contained']],
    ['POST', '/api/admin/contain/release', { subject }, ['user.released']],
  ] as const) {
    const found = await entriesOf(method, url, body);
    t.same(
      found.map(({ action }) => action),
      actions,
      `${method} ${url}`,
    );
    t.match(found, [by], `${method} ${url}`);
  }
  const refused = await entriesOf('PATCH', `/api/admin/users/${users.admin.id}`, { disabled: true });
  t.match(refused, [{ action: 'user.changed', outcome: 'denied', details: { why: /last administrator/ } }]);
  t.equal(refused.length, 1);
  const missing = await entriesOf('DELETE', '/api/admin/access/018f0000-0000-7000-8000-000000000000');
  t.match(missing, [{ action: 'admin.change', outcome: 'failed', details: { status: 404 } }]);
});

t.test('no change without its entry', async (t) => {
  const { users, sql, addGateway } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('admin');
  await sql`ALTER TABLE audit_log ADD CONSTRAINT refuse CHECK (action <> 'user.changed') NOT VALID`;
  const answer = await gateway.call('PATCH', `/api/admin/users/${users.agent.id}`, {
    token,
    body: { role: 'analyst' },
  });
  t.equal(answer.status, 500);
  t.match(await gateway.call('GET', `/api/admin/users/${users.agent.id}`, { token }), { body: { role: 'agent' } });
});
