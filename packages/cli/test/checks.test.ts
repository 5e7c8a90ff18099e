import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { createClient, startPlatform } from '@flowstate/test';
import t from 'tap';
import { runCli } from '../src/program.ts';

const platform = await startPlatform(t, { env: { METRICS_TOKEN: 'metrics-token-of-this-test' } });
const env = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
  METRICS_TOKEN: 'metrics-token-of-this-test',
  WORKER_URL: platform.worker.url,
  CONTROLLER_URL: platform.controller.url,
};

async function check(args: string[], own: Record<string, string> = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const { signal } = new AbortController();
  const rest = { localEnvFile: '/nonexistent', stdin: Readable.from([]), stdout, stderr, signal };
  const code = await runCli(['check', ...args], { env: { ...env, ...own }, ...rest });
  const text = async (stream: PassThrough) => (await stream.end().toArray()).join('');
  return { code, out: await text(stdout), err: await text(stderr) };
}

t.test('secrets, sinks and owners: what is wrong is named, never shown', async (t) => {
  const weak = await check(['secrets'], {
    JWT_SECRET: 'change-me-please-change-me-please',
    REDIS_URL: 'redis://:abcabcabcabc@h',
  });
  t.match(weak, { code: 1, out: /^NOT OK: 2 of 3 secrets/ });
  t.match(weak.out, /JWT_SECRET +is a placeholder/);
  t.match(weak.out, /password in REDIS_URL +repeats itself/);
  t.notMatch(weak.out, /please|abcabc/);
  const strong = { METRICS_TOKEN: '', JWT_SECRET: platform.secrets.jwtSecret, JWT_PREVIOUS_SECRETS: 'x,y' };
  t.match(await check(['secrets'], strong), {
    code: 1,
    out: /JWT_PREVIOUS_SECRETS +repeats|JWT_PREVIOUS_SECRETS +is too/,
  });
  t.match(await check(['secrets'], { ...strong, JWT_PREVIOUS_SECRETS: '' }), {
    code: 0,
    out: /no weak secret among the 1/,
  });

  const sinks = await check(['sinks']);
  t.match(sinks, { code: 1, out: /^NOT OK: 3 of 3 processes[^]*gateway[^]*NONE BUT STDOUT/ });
  t.match(await check(['sinks'], { METRICS_TOKEN: 'wrong' }), { code: 1, out: /refuses this METRICS_TOKEN/ });
  t.match(await check(['sinks'], { METRICS_TOKEN: '' }), { code: 1, out: /needs METRICS_TOKEN/ });
  t.match(await check(['sinks'], { METRICS_URLS: 'here' }), { code: 2, err: /METRICS_URLS/ });

  t.match(await check(['owners']), { code: 1, out: /no owner or no contact: admin, manager[^]*nobody yet/ });
  const direct = { DATABASE_URL: platform.database.url };
  t.match(await check(['owners', '--direct'], direct), { code: 1, out: /nobody yet/ });
});

t.test('synthetic checks: every process lives, is ready and shows its metrics', async (t) => {
  const all = await check(['probes']);
  t.match(all, { code: 0, out: /^ok: all 7 addresses[^]*\/api\/ready +ok +200 ready[^]*\/health +ok +200 ok/ });
  const unread = await check(['probes'], { METRICS_TOKEN: 'wrong' });
  t.match(unread, { code: 1, out: /^NOT OK: 3 of 7[^]*\/api\/metrics +FAILED +401/ });
  const away = await check(['probes'], { METRICS_URLS: 'http://127.0.0.1:9/metrics' });
  t.match(away, { code: 1, out: /^NOT OK: 2 of 2[^]*127.0.0.1:9\/health +FAILED +no answer/ });
});

t.test('failed authentications: many, and those that are no slips', async (t) => {
  t.match(await check(['auth-failures']), { code: 0, out: /^ok: 0 failed/ });
  const anybody = createClient(platform.gateway.url);
  for (let n = 0; n < 3; n += 1) {
    t.equal((await anybody.get('/api/auth/me', { authorization: `Bearer forged-${n}` })).status, 401);
  }
  // Equal failures of one second are one entry, which comes at its end.
  let many = await check(['auth-failures', '--at-most', '1']);
  while (many.code === 0) many = await check(['auth-failures', '--at-most', '1']);
  t.match(many, { code: 1, out: /^NOT OK: 3 failed[^]*more than 1 are too many/ });
  t.match(many.out, /^REASON +FAILURES +FROM\nmalformed +3 +127\.0\.0\.1 \(3\)$/m);
  t.match(await check(['auth-failures', '--since', '10m']), { code: 0, out: /REASON/ });

  const login = { email: 'agent@flowstate.local', password: platform.secrets.password };
  const { body } = await anybody.post<{ refreshToken: string }>('/api/auth/login', login);
  for (const status of [200, 401]) {
    t.equal((await anybody.post('/api/auth/refresh', { refreshToken: body.refreshToken })).status, status);
  }
  t.match(await check(['auth-failures']), { code: 1, out: /SUSPICIOUS: refresh_reused/ });
  const direct = { DATABASE_URL: platform.database.url };
  t.match(await check(['auth-failures', '--direct'], direct), { code: 1, out: /SUSPICIOUS: refresh_reused/ });
  t.match(await check(['auth-failures', '--since', 'ever']), { code: 2, err: /--since/ });
  t.match(await check(['auth-failures', '--at-most', 'few']), { code: 2, err: /--at-most/ });
});

t.test('403s on restricted routes: seen while they happen', async (t) => {
  const agent = await platform.as('agent');
  const seen = new AbortController();
  const looked = check(['denials', '--during', '2s', '--at-most', '0']).finally(() => seen.abort());
  while (!seen.signal.aborted) await agent.get('/api/admin/users');
  t.match(await looked, { code: 1, out: /^NOT OK: \d+ answers 403[^]*\/api\/admin\/users +\d+/ });
  t.match(await check(['denials', '--during', '1s']), { code: 0, out: /^ok: 0 answers 403/ });
  const elsewhere = { METRICS_URLS: `${platform.worker.url}/metrics` };
  t.match(await check(['denials'], elsewhere), { code: 1, err: /No gateway's metrics/ });
});

t.test('where there is a Prometheus it is asked for the time before', async (t) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://prometheus');
    asked.push(`${url.pathname} ${url.searchParams.get('query')}`);
    const result = [{ metric: { route: '/api/admin/users' }, value: [1_700_000_000, '1800.4'] }];
    response.setHeader('content-type', 'application/json');
    if (asked.length === 1) response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
    else response.writeHead(400).end(JSON.stringify({ status: 'error', error: 'parse error' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const own = { PROMETHEUS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
  t.match(await check(['denials'], own), {
    code: 1,
    out: /^NOT OK: 1800 answers 403[^]*within 900 s[^]*120\.0 a minute/,
  });
  t.match(asked[0], /^\/api\/v1\/query sum by \(route\).*restricted="true",status_code="403".*\[900s\]/);
  t.match(await check(['denials'], own), { code: 1, err: /PROMETHEUS_URL does not answer: Prometheus: parse error/ });
});

t.test('health and readiness, and what the gateway says when a dependency is gone', async (t) => {
  t.match(await check(['health']), { code: 0, out: /answers 200 ok, version/ });
  t.match(await check(['ready']), { code: 0, out: /answers 200 ready[^]*postgres +ok/ });
  await platform.gateway.kill('SIGKILL');
  t.match(await check(['ready']), { code: 1, err: /^No answer from / });
});
