import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, keysOf, openRedis, startPlatform } from '@flowstate/test';
import t from 'tap';

const folder = await mkdtemp(join(tmpdir(), 'flowstate-secrets-'));
t.teardown(() => rm(folder, { recursive: true }));
const file = join(folder, 'sink.log');
const tokens = { METRICS_TOKEN: 'metrics-token-of-this-test', LOG_SINK_HTTP_TOKEN: 'sink-token-of-this-test' };
const platform = await startPlatform(t, {
  env: {
    ...tokens,
    LOG_LEVEL: 'trace',
    LOG_SINK_STDOUT: 'all',
    LOG_SINK_FILE: file,
    // Nobody listens there: no request may notice.
    LOG_SINK_HTTP: 'http://127.0.0.1:9/logs',
    LOG_SINK_SYSLOG: 'tcp://127.0.0.1:9',
  },
});

/** Every answer of every service, but those whose purpose is to hand out a token. */
const answers: string[] = [];
const send = globalThis.fetch;
t.teardown(() => (globalThis.fetch = send));
globalThis.fetch = async (input, init) => {
  const response = await send(input, init);
  const { pathname } = new URL(input instanceof Request ? input.url : input);
  if (response.ok && /\/auth\/(login|refresh)$/.test(pathname)) return response;
  answers.push(`${pathname} ${JSON.stringify([...response.headers])} ${await response.clone().text()}`);
  return response;
};

type Tokens = { accessToken: string; refreshToken: string };
const wrongPassword = 'not the password at all';
const newPassword = 'a whole new password 4711';

async function logIn(role: string, password = platform.secrets.password): Promise<Tokens> {
  const client = createClient(platform.gateway.url);
  const { body } = await client.post<Tokens>('/api/auth/login', { email: `${role}@flowstate.local`, password });
  return body;
}

/** All that Redis holds. */
async function redisContents(url: string): Promise<string> {
  const redis = openRedis(url);
  const readers: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => redis.get(key),
    hash: (key) => redis.hgetall(key),
    list: (key) => redis.lrange(key, 0, -1),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.zrange(key, '0', '-1'),
    stream: (key) => redis.xrange(key, '-', '+'),
  };
  try {
    const found = (await keysOf(redis)).map(async (key) => [key, await readers[await redis.type(key)]?.(key)]);
    return JSON.stringify(await Promise.all(found));
  } finally {
    redis.disconnect();
  }
}

t.test('no output shows a secret, a token or a password', async (t) => {
  const url = platform.gateway.url;
  const first = await logIn('manager');
  const admin = createClient(url, (await logIn('admin')).accessToken);
  const manager = createClient(url, first.accessToken);
  const anybody = createClient(url);

  // What people do.
  await admin.post('/api/import?entity=customers', 'externalId,name,segment\nACME,Acme Ltd,enterprise\n', {
    'content-type': 'text/csv',
    accept: 'application/json',
  });
  const { body: documents } = await admin.post<{ runs: string[] }>(
    '/api/import?entity=documents',
    `${JSON.stringify({ externalId: 'D1', title: 'Exports', collection: 'knowledge', text: 'Exports are made at night.' })}\n`,
    { 'content-type': 'application/x-ndjson', accept: 'application/json' },
  );
  for (const id of documents.runs)
    t.match((await Array.fromAsync(admin.events(id))).at(-1), { event: 'run.completed' });
  const run = await manager.post<{ id: string; state: string }>(
    '/api/workflows/customer-insights/runs',
    { input: { customerId: 'ACME' } },
    { prefer: 'wait=30', 'idempotency-key': 'secrets-1' },
  );
  t.match(run, { status: 200, body: { state: 'completed' } });
  for (const path of ['/api/auth/me', '/api/auth/sessions', '/api/runs', '/api/admin/audit', '/api/docs/json'])
    await admin.get(path);
  t.equal((await admin.post('/api/search/semantic', { query: 'export', collection: 'knowledge' })).status, 200);
  const agent = await logIn('agent');
  const changed = await createClient(url, agent.accessToken).post('/api/auth/password', {
    currentPassword: platform.secrets.password,
    newPassword,
  });
  t.equal(changed.status, 204);

  // What goes wrong.
  t.equal(
    (await anybody.post('/api/auth/login', { email: 'agent@flowstate.local', password: wrongPassword })).status,
    401,
  );
  t.equal((await anybody.post('/api/auth/login', { email: wrongPassword, password: [newPassword] })).status, 400);
  t.equal(
    (await anybody.post('/api/auth/login', `{"password":"${newPassword}"`, { 'content-type': 'application/json' }))
      .status,
    400,
  );
  const refresh = (refreshToken: string) => anybody.post<Tokens>('/api/auth/refresh', { refreshToken });
  const second = (await refresh(first.refreshToken)).body;
  t.equal((await refresh(first.refreshToken)).status, 401);
  t.equal((await manager.get('/api/runs')).status, 401, 'its family is revoked');
  for (const authorization of [
    `Bearer ${first.accessToken.slice(0, -4)}`,
    `Basic ${newPassword}`,
    `Bearer ${platform.secrets.workerApiKey}`,
  ])
    t.equal((await anybody.get('/api/runs', { authorization })).status, 401);
  t.equal((await createClient(url, agent.accessToken).get('/api/admin/audit')).status, 403);
  const stolen = { authorization: `Bearer ${platform.secrets.workerApiKey}x`, 'flowstate-worker-key': newPassword };
  t.equal(
    (await anybody.post('/api/internal/run-tokens', { runId: crypto.randomUUID(), incarnation: 1 }, stolen)).status,
    401,
  );
  t.equal(
    (
      await anybody.post('/admin/login', `email=x%40example.org&password=${encodeURIComponent(newPassword)}`, {
        'content-type': 'application/x-www-form-urlencoded',
      })
    ).status,
    401,
  );

  // What is left of all that.
  const exported = await admin.get<string>('/api/admin/audit/export');
  t.match(exported.body, new RegExp(`"action":"agent.call".*"run":"${run.body.id}"`), "agents' calls are in the log");
  const services = { gateway: platform.gateway, worker: platform.worker, controller: platform.controller };
  const authorization = `Bearer ${tokens.METRICS_TOKEN}`;
  const metrics = await Promise.all(
    Object.entries(services).map(async ([name, service]) => {
      const path = name === 'gateway' ? '/api/metrics' : '/metrics';
      const response = await fetch(new URL(path, service.url), { headers: { authorization } });
      return `${name} ${await response.text()}`;
    }),
  );
  t.match(metrics[0], /log_sink_lost_total\{sink="http"\} 0/);
  const audit = await platform.database.sql`SELECT * FROM audit_log a LEFT JOIN audit_personal p ON p.entry_id = a.id`;
  await Promise.all(Object.values(services).map((service) => service.kill('SIGTERM')));
  const outputs: Record<string, string> = {
    ...Object.fromEntries(Object.entries(services).map(([name, { log }]) => [`log of ${name}`, JSON.stringify(log)])),
    'file sink': await readFile(file, 'utf8'),
    metrics: metrics.join('\n'),
    answers: answers.join('\n'),
    'audit export': exported.body,
    'audit rows': JSON.stringify(audit),
    redis: await redisContents(platform.redis.url),
    'redis cache': await redisContents(platform.redis.cacheUrl),
  };
  t.match(outputs['file sink'], /"audit":\{/);
  for (const service of ['gateway', 'worker', 'controller']) {
    t.match(outputs['file sink'], new RegExp(`"service":"${service}"`));
    t.match(outputs[`log of ${service}`], /does not take lines/);
  }
  t.match(outputs['log of gateway'], /"audit":\{/);

  const used: Record<string, string> = {
    password: platform.secrets.password,
    'wrong password': wrongPassword,
    'new password': newPassword,
    'signing secret': platform.secrets.jwtSecret,
    'worker key': platform.secrets.workerApiKey,
    'access token': first.accessToken,
    'its signature': first.accessToken.split('.')[2] as string,
    'refresh token': first.refreshToken,
    'next access token': second.accessToken,
    'next refresh token': second.refreshToken,
    'sink token': tokens.LOG_SINK_HTTP_TOKEN,
    'metrics token': tokens.METRICS_TOKEN,
    ...(new URL(platform.database.url).password && { 'database password': new URL(platform.database.url).password }),
  };
  const shapes = {
    'a JWT': /eyJ[\w-]{8,}\.eyJ[\w-]{8,}/,
    'a refresh token': /fsr_[\w-]{8,}/,
    'a password hash': /\$argon2/,
  };
  for (const [where, text] of Object.entries(outputs)) {
    t.ok(text.length > 2, `${where} says something`);
    for (const [what, secret] of Object.entries(used)) t.notOk(text.includes(secret), `${what} in ${where}`);
    for (const [what, shape] of Object.entries(shapes)) t.notMatch(text, shape, `${what} in ${where}`);
  }
});
