import { containUser, changeUserAccess, readRun } from '@flowstate/store';
import { createApiKey } from '@flowstate/security';
import t from 'tap';
import { addRun, addWorker, failRun } from './fixtures/owned-run.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

t.test("a run's owner gets its authority, nobody else does", async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [owner, stranger] = [await addWorker(sql), await addWorker(sql)];
  const runId = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner });
  const queued = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner: null });
  const ask = (body: unknown, token = secrets.WORKER_API_KEY) =>
    gateway.call('POST', '/api/internal/run-tokens', { token, body });

  const answer = await ask({ runId, incarnation: owner });
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' }, body: { expiresIn: 300 } });
  const token = answer.body['token'] as string;
  const claims = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
  t.match(claims, { sub: users.agent.id, role: 'agent', run: runId, inc: owner, epoch: 1 });
  t.equal(claims.exp - claims.iat, 300);
  t.match((await gateway.call('GET', '/api/auth/me', { token })).body, { id: users.agent.id, role: 'agent' });

  const logins = await gateway.call('GET', '/api/auth/sessions', { token });
  t.match(
    logins,
    { status: 403, body: { detail: /no logins/ } },
    "where its owner's logins come from is not its business",
  );
  t.equal((await gateway.call('POST', '/api/auth/logout', { token })).status, 403);

  t.match(await ask({ runId, incarnation: stranger }), { status: 409 });
  t.match(await ask({ runId: queued, incarnation: owner }), { status: 409 }, 'nobody runs it');
  t.match(await ask({ runId: crypto.randomUUID(), incarnation: owner }), { status: 409 });
  t.match(await ask({ runId: 'x', incarnation: 0 }), { status: 400 });
  for (const wrong of [
    `${secrets.WORKER_API_KEY}x`,
    secrets.WORKER_API_KEY.slice(1),
    await gateway.tokenOf('admin'),
    token,
  ]) {
    t.equal((await ask({ runId, incarnation: owner }, wrong)).status, 401);
  }
  t.equal((await gateway.call('POST', '/api/internal/run-tokens', { body: {} })).status, 401);
  t.match(await gateway.failures(), { worker_key: 5 });
  t.equal(
    (await gateway.call('GET', '/api/auth/me', { token: secrets.WORKER_API_KEY })).status,
    401,
    'its key is no login',
  );
});

t.test('a run token ends with the run, with its owner, and with its user', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [first, second] = [await addWorker(sql), await addWorker(sql)];
  const statusOf = async (token: string) => (await gateway.call('GET', '/api/auth/me', { token })).status;
  const tokenFor = async (runId: string, incarnation: number) => {
    const { body } = await gateway.call('POST', '/api/internal/run-tokens', {
      token: secrets.WORKER_API_KEY,
      body: { runId, incarnation },
    });
    return body['token'] as string;
  };
  /** What it knew a moment ago is believed for a while; how long is said, and depends on the machine. */
  const untilRefused = async (token: string, why: string): Promise<void> => {
    const began = performance.now();
    while ((await statusOf(token)) === 200);
    t.equal(await statusOf(token), 401, why);
    t.comment(`${why}: refused after ${(performance.now() - began).toFixed(0)} ms`);
  };

  const taken = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner: first });
  const token = await tokenFor(taken, first);
  t.equal(await statusOf(token), 200);
  await sql`UPDATE run_live SET owner = ${second} WHERE id = ${taken}`;
  await untilRefused(token, 'another worker took the run');
  t.equal(await statusOf(await tokenFor(taken, second)), 200);

  const over = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner: first });
  const spent = await tokenFor(over, first);
  await failRun(sql, first, over);
  t.equal(await statusOf(spent), 401);
  t.match(await gateway.failures(), { run_not_owned: Number });

  const other = await tokenFor(taken, second);
  await changeUserAccess(sql, users.agent.id, { role: 'service' });
  await gateway.identity.policy.refresh();
  t.match(
    (await gateway.call('GET', '/api/auth/me', { token: other })).body,
    { role: 'service' },
    "the role is today's",
  );
  t.equal((await gateway.call('POST', '/api/customers', { token: other, body: {} })).status, 403);
  await changeUserAccess(sql, users.agent.id, { role: 'analyst' });
  await gateway.identity.policy.refresh();
  t.match(
    await gateway.call('GET', '/api/auth/me', { token: other }),
    { status: 403, body: { detail: /may not run probe/ } },
    'a role that may not start such runs has none that go on',
  );
  await changeUserAccess(sql, users.agent.id, { disabled: true });
  await gateway.identity.policy.refresh();
  t.equal(await statusOf(other), 401);
  t.match(
    await gateway.call('POST', '/api/internal/run-tokens', {
      token: secrets.WORKER_API_KEY,
      body: { runId: taken, incarnation: second },
    }),
    { status: 403 },
  );
});

t.test('a run that is being cancelled or is over starts no child; one under way goes with it', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  const agent = await gateway.tokenOf('agent');
  const begin = async () => {
    const runId = await addRun(sql, { principalId: users.agent.id, role: 'agent', owner });
    const body = { runId, incarnation: owner };
    const answer = await gateway.call('POST', '/api/internal/run-tokens', { token: secrets.WORKER_API_KEY, body });
    return { runId, token: answer.body['token'] as string };
  };
  const startChild = ({ runId, token }: { runId: string; token: string }, key?: string) =>
    gateway.call('POST', '/api/workflows/probe/runs', {
      token,
      body: { input: {}, parentId: runId },
      headers: key === undefined ? {} : { 'idempotency-key': key },
    });
  const cancel = (id: string) => gateway.call('POST', `/api/runs/${id}/cancel`, { token: agent });
  const childrenOf = (id: string) => sql`SELECT id FROM runs WHERE parent_id = ${id}`;

  const stopping = await begin();
  t.equal((await startChild(stopping, 'first')).status, 202);
  t.equal((await cancel(stopping.runId)).status, 202);
  t.equal((await childrenOf(stopping.runId)).length, 1);
  for (const key of [undefined, 'second']) {
    t.match(await startChild(stopping, key), { status: 409, body: { detail: /being cancelled/ } }, key ?? 'no key');
  }
  t.equal((await childrenOf(stopping.runId)).length, 1);

  const ended = await begin();
  t.equal((await gateway.call('GET', '/api/auth/me', { token: ended.token })).status, 200);
  await failRun(sql, owner, ended.runId);
  t.ok([401, 409].includes((await startChild(ended)).status), 'what was known of it a moment ago does not help');
  t.same(await childrenOf(ended.runId), []);

  const blocked = () =>
    sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  for (const key of [undefined, 'third']) {
    const parent = await begin();
    const { starting, cancelling } = await sql.begin(async (tx) => {
      await tx`LOCK TABLE runs IN EXCLUSIVE MODE`;
      const starting = startChild(parent, key);
      while ((await blocked()).length < 1);
      const over = new AbortController();
      const cancelling = cancel(parent.runId).finally(() => over.abort());
      while ((await blocked()).length < 2 && !over.signal.aborted);
      return { starting, cancelling };
    });
    const child = (await starting).body['id'] as string;
    t.equal((await cancelling).status, 202);
    t.match(await readRun(sql, child), { state: 'cancelled' }, key ?? 'no key');
  }
});

t.test('whoever asks for a run of a contained user puts it in quarantine, before a refusal could end it', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  const run = { principalId: users.agent.id, role: 'agent' as const, owner };
  const [calling, asking] = [await addRun(sql, run), await addRun(sql, run)];
  const ask = (runId: string) =>
    gateway.call('POST', '/api/internal/run-tokens', {
      token: secrets.WORKER_API_KEY,
      body: { runId, incarnation: owner },
    });
  const token = (await ask(calling)).body['token'] as string;
  // Killed here, a containment has taken the access and not yet the runs.
  await sql.begin((tx) => containUser(tx, { userId: users.agent.id, reason: 'test', authorId: null }));
  await gateway.identity.policy.refresh();
  t.equal((await gateway.call('GET', '/api/auth/me', { token })).status, 401);
  t.match(await ask(asking), { status: 409, body: { detail: /quarantine/ } });
  for (const id of [calling, asking]) {
    await failRun(sql, owner, id);
    t.match(await readRun(sql, id), { state: 'quarantined' }, 'its worker can end it no more');
  }
});

t.test('a run follows no events: a stream would outlive its authority', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  const run = { principalId: users.agent.id, role: 'agent' as const, owner };
  const [runId, over] = [await addRun(sql, run), await addRun(sql, run)];
  const foreign = await addRun(sql, { ...run, principalId: users.service.id, role: 'service' });
  await failRun(sql, owner, over);
  const { body } = await gateway.call('POST', '/api/internal/run-tokens', {
    token: secrets.WORKER_API_KEY,
    body: { runId, incarnation: owner },
  });
  const follow = (id: string, token: string) => gateway.call('GET', `/api/runs/${id}/events`, { token });
  t.match(await follow(over, body['token'] as string), { status: 403, body: { detail: /follows no events/ } });
  t.equal((await follow(foreign, body['token'] as string)).status, 403, 'and learns of none');
  t.equal((await follow(over, await gateway.tokenOf('agent'))).status, 200);
});

t.test('runs and API keys act for a user but change none of their logins, and see no pages', async (t) => {
  const { addGateway, sql, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const owner = await addWorker(sql);
  const runId = await addRun(sql, { principalId: users.admin.id, role: 'admin', owner });
  const { body } = await gateway.call('POST', '/api/internal/run-tokens', {
    token: secrets.WORKER_API_KEY,
    body: { runId, incarnation: owner },
  });
  const key = await createApiKey(sql, { userId: users.admin.id, name: 'whole', scopes: ['api'] });
  const narrow = await createApiKey(sql, { userId: users.admin.id, name: 'narrow', scopes: ['scaling:read'] });
  for (const token of [body['token'] as string, key.key]) {
    t.match((await gateway.call('GET', '/api/auth/me', { token })).body, { id: users.admin.id });
    const passwords = { currentPassword: 'x', newPassword: 'another long password' };
    t.equal((await gateway.call('POST', '/api/auth/password', { token, body: passwords })).status, 403);
    t.equal((await gateway.call('POST', '/api/auth/logout', { token })).status, 403);
    t.equal((await gateway.call('DELETE', `/api/auth/sessions/${runId}`, { token })).status, 403);
    t.equal((await gateway.call('GET', '/admin/queues', { token })).status, 403);
  }
  t.match(await gateway.call('GET', '/api/auth/me', { token: narrow.key }), {
    status: 403,
    body: { detail: "This is outside the API key's scopes" },
  });
  t.notMatch(JSON.stringify(gateway.lines), new RegExp(key.key.slice(-20)));
});
