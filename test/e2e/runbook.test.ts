import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import {
  createClient,
  emptyRedis,
  onClusters,
  openRedis,
  startPlatform,
  startWebhookReceiver,
  verifyWebhook,
} from '@flowstate/test';
import t from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runbook = join(root, 'deploy/runbooks/security.md');
const folder = await mkdtemp(join(tmpdir(), 'flowstate-runbook-'));
t.teardown(() => rm(folder, { recursive: true }));
const receiver = await startWebhookReceiver(t);
const sinkFile = join(folder, 'services.log');
const metricsToken = 'metrics-token-of-this-test';
const leakedSecret = randomBytes(32).toString('base64url');
const platform = await startPlatform(t, {
  env: {
    LOG_SINK_FILE: sinkFile,
    METRICS_TOKEN: metricsToken,
    WEBHOOK_ALLOW_PRIVATE: 'true',
    JWT_PREVIOUS_SECRETS: leakedSecret,
  },
});
const second = await platform.addGateway();
const admin = await platform.as('admin');
const { secrets } = platform;

/** Has the shape of a refresh token; nobody was ever given it. */
const planted = 'fsr_planted-where-no-token-belongs-0123456789';

/** What an operator has in the environment: addresses, secrets and a login. */
const operator = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: secrets.password,
  DATABASE_URL: platform.database.url,
  REDIS_URL: platform.redis.url,
  REDIS_CACHE_URL: platform.redis.cacheUrl,
  JWT_SECRET: secrets.jwtSecret,
  WORKER_API_KEY: secrets.workerApiKey,
  WEBHOOK_SECRET: secrets.webhookSecret,
  WEBHOOK_ALLOW_PRIVATE: 'true',
  LOG_SINK_FILE: sinkFile,
  METRICS_TOKEN: metricsToken,
  METRICS_URLS: [
    `${platform.gateway.url}/api/metrics`,
    `${second.url}/api/metrics`,
    `${platform.worker.url}/metrics`,
    `${platform.controller.url}/metrics`,
  ].join(),
  INCIDENT_WEBHOOK_URL: `${receiver.url}/tracker`,
};

/** Some forty commands are started here: compiled code is kept between them, as between all processes of the tests. */
const compileCache: Record<string, string> = process.env.NODE_COMPILE_CACHE
  ? { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }
  : {};

const outputs: Record<string, string> = {};

/** The command as a process of its own. */
async function flowstate(args: string[], env: Record<string, string> = operator) {
  const child = spawn(process.execPath, [join(root, 'packages/cli/src/main.ts'), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...compileCache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  outputs[`output of ${args.join(' ')}`] = out + err;
  return { code: code as number, out, err };
}

type Step = { title: string; state: string; why: string | null; evidence: string; changes: string | null };
async function follow(args: string[], env?: Record<string, string>) {
  const { code, out, err } = await flowstate(['runbook', ...args, '--json'], env);
  if (!out.startsWith('{')) throw new Error(`runbook ended with ${code}: ${out}${err}`);
  return { code, steps: (JSON.parse(out) as { steps: Step[] }).steps };
}
const told = (steps: Step[]) => steps.map(({ title, state, why }) => `${state}: ${title}${why ? ` (${why})` : ''}`);

/** All files of a folder. */
async function contents(path: string): Promise<Record<string, string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(path.length + 1), await readFile(file, 'utf8')] as const)),
  );
}

t.before(async () => {
  for (const role of ['admin', 'manager', 'analyst', 'agent', 'integration', 'service']) {
    const contact = role === 'service' ? '+49 30 1234' : `${receiver.url}/owners/${role === 'agent' ? 'sales' : 'it'}`;
    const owner = role === 'agent' ? 'Head of Sales' : 'Head of IT';
    const named = await admin.call('PUT', `/api/admin/access/owners/${role}`, { body: { owner, contact } });
    t.equal(named.status, 200);
  }
  const bad = { owner: 'Head of IT', contact: 'http://example.org:99/x' };
  const refused = await admin.call('PUT', '/api/admin/access/owners/admin', { body: bad });
  t.match(refused, { status: 400, body: { errors: [{ field: 'contact', message: /port/ }] } });
});

t.test('without a subject it looks at everything and changes nothing', async (t) => {
  const planned = await follow(['security', '--dry-run', '--subject', 'user:somebody']);
  t.equal(planned.code, 0);
  t.ok(planned.steps.some(({ changes, state }) => changes !== null && state === 'would run'));
  t.ok(planned.steps.every(({ state }) => state === 'would run' || state === 'skipped'));

  const looked = await follow(['security', '--only', 'response']);
  t.equal(looked.code, 0, told(looked.steps).join('\n'));
  const changing = looked.steps.filter(({ changes }) => changes !== null);
  t.ok(changing.length >= 3);
  for (const { title, state, why } of changing) t.match({ state, why }, { state: 'skipped', why: /--subject/ }, title);
});

t.test('with a subject every step of the file is done and does what it says', async (t) => {
  const agent = await platform.as('agent');
  const { body: me } = await agent.get<{ id: string }>('/api/auth/me');
  const elsewhere = createClient(second.url, agent.token);
  t.equal((await elsewhere.get('/api/admin/users')).status, 403);
  const refused = { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.' };
  t.equal((await createClient(second.url).get('/api/runs', refused)).status, 401);
  // A secret where none belongs: somebody's token as an id, which the audit log and the services' logs repeat.
  t.equal((await agent.call('DELETE', `/api/admin/keys/${planted}`)).status, 403);
  const { status } = await agent.post('/api/workflows/customer-insights/runs', { input: { customerId: 'none' } });
  t.equal(status, 404);

  // And what a library might log one day.
  const leak = {
    time: new Date().toISOString(),
    msg: `with ${admin.token} and ${secrets.jwtSecret} and Bearer ${planted}`,
  };
  await appendFile(sinkFile, `${JSON.stringify(leak)}\n`);

  const incident = join(folder, 'incident');
  const args = ['security', '--subject', `user:${me.id}`, '--incident', incident, '--reason', 'incident 42'];
  t.match(await flowstate(['runbook', ...args]), { code: 2, err: /--yes/ }, 'nobody is there to ask');
  const { out: keys } = await flowstate(['keys', 'status', '--json']);
  const { items } = JSON.parse(keys) as { items: { kid: string; state: string }[] };
  const kid = items.find(({ state }) => state === 'verify-only')?.kid ?? 'none';
  const variables = ['TARGET=search', `KID=${kid}`, `CLEARED=user:${me.id}`];
  const { code, steps } = await follow([...args, '--yes', '--set', ...variables]);
  t.equal(code, 0, told(steps).join('\n'));
  t.same([...new Set(steps.map(({ state }) => state))], ['passed'], told(steps).join('\n'));

  t.equal((await agent.get('/api/auth/me')).status, 401);
  t.equal((await elsewhere.get('/api/auth/me')).status, 401);
  const { body: locks } = await admin.get<{ items: object[] }>('/api/admin/access');
  t.match(locks.items, [{ target: 'search', roles: ['admin'], reason: 'incident 42' }]);

  const files = await contents(incident);
  t.match(files['summary.md'], /agent@flowstate\.local/);
  t.match(files['summary.md'], /## Actions taken[^]*user\.contained agent@[^]*access\.locked search[^]*incident 42/);
  t.match(files['timeline.jsonl'], /"what":"admin.change"[^\n]*"outcome":"denied"/);
  t.match(files['timeline.jsonl'], /\[a token\]/);
  t.match(files['timeline.jsonl'], new RegExp(`"who":"${me.id}"`));
  t.match(files['logs/services.jsonl'], /Authentication failed/);
  t.match(files['logs/services.jsonl'], /"with \[a token\] and \[redacted\] and Bearer \[a refresh token\]"/);
  t.match(files['sessions/report.json'], /"sound": true/);
  t.match(files['audit-verdict.json'], /"ok": true/);
  t.match(files['metrics/auth-failures.svg'], /<svg[^]*malformed|<svg[^]*auth_failures_total/);
  for (const node of onClusters ? ['-node-1', '-node-2', '-node-3'] : ['']) {
    t.match(files[`redis/redis${node}-info.txt`], /redis_version/);
    t.match(files[`redis/redis-cache${node}-clients.txt`], /addr=/);
    t.match(files[`redis/redis${node}-slowlog.json`], /^\[/);
  }
  for (const service of ['gateway', 'worker', 'controller']) {
    t.ok(
      Object.keys(files).some((name) => name.startsWith(`metrics/${service}-`)),
      service,
    );
  }

  const notices = [...(await receiver.received('/owners/it')), ...(await receiver.received('/owners/sales'))];
  for (const call of notices) {
    const message = verifyWebhook(secrets.webhookSecret, call);
    t.match(message, { type: 'incident.summary', data: { subject: `user:${me.id}`, markdown: /## Next steps/ } });
  }
  t.equal(receiver.calls.filter(({ path }) => path.startsWith('/owners/')).length, 2, 'one message to each webhook');
  t.match(files['deliveries.jsonl'], /"to":"Head of Sales"[^\n]*"error":null/);
  const { body: audited } = await admin.get<{ items: object[] }>('/api/admin/audit?action=incident.notified');
  t.match(audited.items, [{ outcome: /success|failed/ }, {}, {}]);

  const filed = await receiver.received('/tracker', 2);
  t.equal(new Set(filed.map(({ headers }) => headers['webhook-id'])).size, 2);
  const again = await flowstate([
    'incident',
    'followup',
    incident,
    '--task',
    'Extend monitoring by what would have shown it',
  ]);
  t.match(again, { code: 0, err: /filed already/ });
  const twice = ['--task', 'Say it once', '--task', 'Say it once'];
  t.match(await flowstate(['incident', 'followup', incident, ...twice]), {
    code: 0,
    err: /filed already: Say it once/,
  });
  receiver.answer('/tracker', (response) => response.writeHead(500).end());
  const failing = await flowstate(['incident', 'followup', incident, '--task', 'Something else']);
  t.match(failing, { code: 1, out: /Status 500/ });
  t.equal(receiver.calls.filter(({ path }) => path === '/tracker').length, 4);
  const onceMore = await flowstate(['incident', 'notify', incident]);
  t.match(onceMore, { code: 0, out: /\+49|Head of IT/, err: /told already: .*Head of Sales/ });
  t.equal(receiver.calls.filter(({ path }) => path.startsWith('/owners/')).length, 2, 'nobody is told twice');
});

t.test('a command that is misspelt fails its step, and so does what is not as expected', async (t) => {
  const source = await readFile(runbook, 'utf8');
  const copy = join(folder, 'misspelt.md');
  for (const [right, wrong, step, why] of [
    ['flowstate sessions verify\n', 'flowstate sesions verify\n', 'sessions are sound', /exit code 2/],
    ['flowstate audit verify\n', 'flowstat audit verify\n', 'untouched', /exit code 127/],
    ['answers 200 ready', 'answers 200 steady', 'is ready', /"answers 200 steady" is missing/],
  ] as const) {
    t.ok(source.includes(right), `the runbook says ${right}`);
    await writeFile(copy, source.replace(right, wrong));
    const { code, steps } = await follow([copy, '--only', step]);
    t.equal(code, 1, wrong);
    t.match(steps, [{ state: 'failed', why }]);
  }
  const redis = openRedis(platform.redis.url);
  t.teardown(() => redis.disconnect());
  await redis.set(`flowstate:session:${crypto.randomUUID()}`, '{}');
  const { code, steps } = await follow(['security', '--only', 'sessions are sound']);
  t.equal(code, 1);
  t.match(steps, [{ state: 'failed', why: /exit code 1/, evidence: /NOT SOUND/ }]);
  await emptyRedis(redis);
});

t.test('with the gateways gone it says so, and evidence is kept past them', async (t) => {
  await Promise.all([platform.gateway, second].map((gateway) => gateway.kill('SIGKILL')));
  const { code, steps } = await follow(['security', '--only', 'the gateway lives']);
  t.equal(code, 1);
  t.match(steps, [{ state: 'failed', evidence: /No answer from/ }]);

  const through = await flowstate(['incident', 'capture', '--since', '1h', '--out', join(folder, 'away')]);
  t.match(through, { code: 0, err: /missing: audit entries: No answer from/ });
  const direct = await flowstate([
    'incident',
    'capture',
    '--direct',
    '--out',
    join(folder, 'direct'),
    '--samples',
    '1',
  ]);
  t.match(direct, { code: 0, err: /missing: metrics of http/ });
  const files = await contents(join(folder, 'direct'));
  t.match(files['timeline.jsonl'], /"source":"audit"/);
  t.match(files['sessions/report.json'], /"sound"/);
  t.match(files['summary.md'], /What is missing here, and why[^]*metrics of/);
  const told = await flowstate(['incident', 'notify', '--direct', join(folder, 'direct')]);
  t.match(told, { code: 0, out: /delivered/ });
  const [call] = (await receiver.received('/owners/sales', 2)).slice(1);
  t.ok(call && verifyWebhook(secrets.webhookSecret, call));
  const taken = await flowstate(['incident', 'capture', '--direct', '--out', join(folder, 'direct')]);
  t.match(taken, { code: 2, err: /not empty/ });
});

t.test('no secret or token is in any file or output', async (t) => {
  const everything = { ...outputs, ...(await contents(folder)) };
  everything['services.log'] = (everything['services.log'] ?? '').replace(/^.*"msg":"with .*$/m, '');
  t.ok(Object.keys(everything).length > 40);
  const known = {
    password: secrets.password,
    'signing secret': secrets.jwtSecret,
    'leaked secret': leakedSecret,
    'worker key': secrets.workerApiKey,
    'webhook secret': secrets.webhookSecret.slice('whsec_'.length),
    'metrics token': metricsToken,
    'access token': admin.token ?? '',
    'planted token': planted,
    ...(new URL(platform.database.url).password && { 'database password': new URL(platform.database.url).password }),
  };
  const shapes = { JWT: /eyJ[\w-]{8,}\.eyJ/, 'refresh token': /fsr_[\w-]{8,}/, hash: /\$argon2/ };
  for (const [name, raw] of Object.entries(everything)) {
    const content = raw.replaceAll('\\', ''); // Markdown and JSON escape with it

    const found = Object.entries(known).filter(([, secret]) => content.includes(secret));
    t.same(
      found.map(([what]) => what),
      [],
      name,
    );
    for (const [what, shape] of Object.entries(shapes)) t.notMatch(content, shape, `${what} in ${name}`);
  }
});
