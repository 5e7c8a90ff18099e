import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { insertRecommendation } from '@flowstate/store';
import { createClient, startPlatform, type Client, type ServiceProcess } from '@flowstate/test';
import t from 'tap';
import { flowstate } from '../../packages/cli/test/fixtures/run-cli.ts';
import { findMonitoringPrograms } from '../support/monitoring-programs.ts';
import { startPrometheus, type Prometheus } from '../support/prometheus.ts';
import { measuredParts } from '../support/promql.ts';

/** What cannot have series here, and why. */
const without = new Map([
  ['min by (instance) (probe_ssl_earliest_cert_expiry) - time()', 'only of addresses with TLS'],
]);

const metricsToken = 'metrics-token-of-this-test';
const folder = await mkdtemp(join(tmpdir(), 'flowstate-monitoring-'));
t.teardown(() => rm(folder, { recursive: true }));
const platform = await startPlatform(t, {
  env: {
    METRICS_TOKEN: metricsToken,
    SEARCH_RECALL_SAMPLE: '1',
    LOG_SINK_FILE: join(folder, 'services.log'),
    NODE_OPTIONS: `--import=${new URL('../fixtures/jumping-clock.mjs', import.meta.url).href}`,
  },
});
const services: Record<string, ServiceProcess> = {
  gateway: platform.gateway,
  worker: platform.worker,
  controller: platform.controller,
};
const metricsUrl = (name: string) =>
  new URL(name === 'gateway' ? '/api/metrics' : '/metrics', services[name]?.url).href;
const authorization = `Bearer ${metricsToken}`;
const scrape = async (name: string) => (await fetch(metricsUrl(name), { headers: { authorization } })).text();

const programs = await findMonitoringPrograms();
const skip = typeof programs === 'string' ? programs : false;

type Tap = Pick<typeof t, 'equal' | 'match' | 'ok'>;

/** A bit of everything: runs with backend calls, searches that miss and hit, refusals, a rehearsal. */
async function makeLoad(t: Tap, round: number): Promise<void> {
  const [feeder, analyst, admin] = await Promise.all([
    platform.as('integration'),
    platform.as('analyst'),
    platform.as('admin'),
  ]);
  const documents = [{ collection: 'manual', text: `Refunds are paid within five days (${round}).` }];
  const { status, body } = await feeder.post<{ run: { id: string } }>('/api/documents', { documents });
  t.equal(status, 202);
  await Array.fromAsync(feeder.events(body.run.id));
  for (let i = 0; i < 2; i++) {
    const found = await analyst.post('/api/search/semantic', { query: `a refund, please ${round}` });
    t.equal(found.status, 200);
  }
  await recommend(t, admin, round);
  t.equal((await analyst.get('/api/admin/users')).status, 403);
  const bad = { email: 'admin@flowstate.local', password: 'wrong' };
  t.equal((await createClient(platform.gateway.url).post('/api/auth/login', bad)).status, 401);
  t.equal((await createClient(platform.gateway.url).get('/no/such/path')).status, 404);
  t.equal((await admin.post('/api/admin/signing-keys/rehearse', {})).status, 200);
}

/** One is made by hand, because real ones need a history of customers; what is said of it goes the usual way. */
async function recommend(t: Tap, admin: Client, round: number): Promise<void> {
  const customer = await admin.post<{ id: string }>('/api/customers', { externalId: `C-${round}`, name: 'Acme' });
  t.equal(customer.status, 201);
  const { body: me } = await admin.get<{ id: string }>('/api/auth/me');
  const what = { kind: 'action', item: 'A call' } as const;
  const made = { customerId: customer.body.id, principalId: me.id, items: [what] };
  const id = await insertRecommendation(platform.database.sql, made);
  const said = await admin.post(`/api/search/recommendations/${id}/feedback`, { ...what, helpful: true });
  t.equal(said.status, 200);
}

/** Everything that dashboards, alerts and recording rules read, with who reads it. */
async function expressions(t: Tap, prometheus: Prometheus): Promise<Map<string, string>> {
  const read = new Map<string, string>();
  const dashboards = fileURLToPath(new URL('../../deploy/grafana/dashboards/', import.meta.url));
  type Panels = { panels: { title: string; targets: { expr: string }[] }[] };
  for (const file of await readdir(dashboards)) {
    const { panels } = JSON.parse(await readFile(join(dashboards, file), 'utf8')) as Panels;
    for (const { title, targets } of panels) {
      for (const { expr } of targets) read.set(expr.replaceAll('$__rate_interval', '1m'), `${file}: ${title}`);
    }
  }
  for (const { type, name, query, health, lastError } of await prometheus.rules()) {
    t.equal(health, 'ok', `${name}: ${lastError}`);
    const parts = type === 'alerting' ? measuredParts(query) : [query];
    t.ok(parts.length > 0, `${name} measures something`);
    for (const part of parts) read.set(part, `${type} ${name}`);
  }
  return read;
}

t.test('without the bearer nobody gets metrics; with it promtool has nothing to say about them', async (t) => {
  await makeLoad(t, 0);
  for (const name of Object.keys(services)) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      const refused = await fetch(metricsUrl(name), { headers });
      t.equal(refused.status, 401, name);
      t.match(refused.headers.get('www-authenticate'), /^Bearer error="invalid_token"/, name);
      t.notMatch(await refused.text(), 'flowstate_build_info');
    }
    const begun = performance.now();
    const text = await scrape(name);
    t.comment(`${name}: ${text.length} bytes in ${Math.round(performance.now() - begun)} ms`);
    t.match(text, new RegExp(`^flowstate_build_info\\{service="${name}"`, 'm'));
    if (typeof programs === 'string') continue;
    const checking = execFile(programs.promtool, ['check', 'metrics']);
    const said: string[] = [];
    checking.stderr?.on('data', (chunk: string) => said.push(chunk));
    checking.stdin?.end(text);
    const code = await new Promise((ended) => checking.once('close', ended));
    t.same([code, said.join('')], [0, ''], name);
  }
});

t.test('every panel, alert and recording rule has series in a real Prometheus', { skip }, async (t) => {
  if (typeof programs === 'string') return;
  const { gateway, worker, controller } = platform;
  const urls = { gateway: gateway.url, worker: worker.url, controller: controller.url };
  const prometheus = await startPrometheus(t, { programs, ...urls, metricsToken });
  await until(async () => {
    const targets = await prometheus.targets();
    return targets.length === 11 && targets.every(({ health }) => health === 'up');
  });
  await makeLoad(t, 1);
  await until(async () => (await prometheus.rules()).every(({ health }) => health !== 'unknown'));
  const read = await expressions(t, prometheus);
  t.ok(read.size > 90, `${read.size} expressions`);
  t.same(
    [...without.keys()].filter((expr) => ![...read.keys()].some((each) => each.includes(expr))),
    [],
  );

  let missing: string[] = [];
  const complete = async () => {
    missing = [];
    for (const [expr, reader] of read) {
      if ((await prometheus.query(expr)).length === 0) missing.push(`${reader}: ${expr}`);
    }
    return missing.every((line) => [...without.keys()].some((expr) => line.includes(expr)));
  };
  // What is counted for the first time needs two scrapes after it.
  for (let round = 2; !(await complete()) && round < 12; round++) await makeLoad(t, round);
  t.same(
    missing.filter((line) => ![...without.keys()].some((expr) => line.includes(expr))),
    [],
  );
  const probes = await prometheus.query('max_over_time(probe_success[1m]) == 1');
  t.equal(probes.length, 8, `every synthetic check succeeds: ${probes.map(({ metric }) => metric['instance']).join()}`);
  const [latency, ...more] = await prometheus.query('http_request_duration_seconds{quantile="0.95"}');
  t.match(latency, { metric: { __name__: 'http_request_duration_seconds', quantile: '0.95' } });
  t.same(more, [], 'one figure for all replicas');
  await operatorAsks(t, prometheus);
  for (const { metric, value } of await prometheus.query('scrape_duration_seconds{job!="blackbox"}')) {
    const [samples] = await prometheus.query(`scrape_samples_scraped{job="${metric['job']}"}`);
    t.comment(`${metric['job']}: ${samples?.value[1]} samples scraped in ${value[1]} s`);
  }
});

/** What the operator's commands read of Prometheus: the runbook's p95, and who of those that run is scraped. */
async function operatorAsks(t: Tap, { url }: Prometheus): Promise<void> {
  const { token = '' } = await platform.as('admin');
  const env = {
    FLOWSTATE_URL: platform.gateway.url,
    FLOWSTATE_TOKEN: token,
    METRICS_URLS: Object.keys(services).map(metricsUrl).join(),
    METRICS_TOKEN: metricsToken,
    PROMETHEUS_URL: url,
  };
  const proposed = await flowstate(['scale', 'propose', '--during', '1s'], { env });
  t.match(
    proposed,
    { code: 0, out: /http_request_duration_seconds\{quantile="0\.95"\} \(Prometheus\) +\d+ ms\n/ },
    proposed.err,
  );
  const checked = await flowstate(['check', 'replicas'], { env });
  t.match(
    checked,
    { code: 0, out: /1 gateways and 1 workers run; each is ready and scraped \(Prometheus\)/ },
    checked.err,
  );
  const unscraped = await platform.addWorker();
  const missed = await flowstate(['check', 'replicas'], { env });
  t.match(missed, { code: 1, out: /workers scraped +.*1 of 2 running, not worker \d+/ }, missed.err);
  t.equal((await unscraped.kill('SIGTERM')).code, 0);
  for (const command of [
    ['check', 'replicas'],
    ['scale', 'propose', '--during', '1s'],
  ]) {
    const away = await flowstate(command, { env: { ...env, PROMETHEUS_URL: 'http://127.0.0.1:9' } });
    t.match(away, { code: 1, err: /^PROMETHEUS_URL does not answer: / });
  }
}

t.test('a wall clock that jumps an hour back and on again leaves no trace in the figures', async (t) => {
  const names = Object.keys(services);
  const before = await Promise.all(names.map(scrape));
  for (let jump = 0; jump < 2; jump++) {
    for (const service of Object.values(services)) service.signal('SIGUSR2');
    await makeLoad(t, 100 + jump);
  }
  const after = await Promise.all(names.map(scrape));
  names.forEach((name, index) => {
    const [was, is] = [before, after].map((texts) => countersOf(texts[index] ?? '')) as [Counters, Counters];
    for (const [series, value] of is) {
      const grown = value - (was.get(series) ?? 0);
      const atMost = /_seconds_sum/.test(series) ? 1_800 : Infinity;
      t.ok(grown >= 0 && grown < atMost, `${name} ${series} grew by ${grown}`);
    }
  });
  const ages = /^(flowstate_\w+_seconds|vector_\w+_seconds)(\{[^}]*\})? (-\S+)/gm;
  t.same(
    after.flatMap((text) => text.match(ages) ?? []),
    [],
    'nothing is younger than now',
  );
});

t.test('a scrape during shutdown is whole or refused, and holds nothing up', async (t) => {
  for (const [name, service] of Object.entries(services).toReversed()) {
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    t.teardown(() => agent.destroy());
    let whole = 0;
    const scraping = new AbortController();
    const broken: string[] = [];
    const one = async () => {
      const answer = await oneScrape(metricsUrl(name), agent);
      if (answer === 'refused') return scraping.abort();
      if (
        answer.status === 200 &&
        /flowstate_build_info\{[^}]*\} 1\n/.test(answer.text) &&
        answer.text.endsWith('\n')
      ) {
        whole += 1;
      } else broken.push(`${answer.status} ${answer.text.slice(-80)}`);
    };
    const scrapers = [1, 2].map(async () => {
      while (!scraping.signal.aborted) await one();
    });
    await until(() => whole > 2);
    const ended = await service.kill('SIGTERM');
    await Promise.all(scrapers);
    const trouble = service.log
      .filter(({ level }) => level === 'error')
      .map(({ msg, stage }) => `${msg}: ${String(stage)}`);
    t.same([ended, trouble], [{ code: 0, signal: null }, []], `${name} ends in order`);
    t.same(broken, [], `${name}: ${whole} whole`);
  }
});

type Counters = Map<string, number>;

/** Counters and sums of histograms, which only grow. */
function countersOf(text: string): Counters {
  const lines = [...text.matchAll(/^((?!process_|nodejs_)\w+_(?:total|sum|count|bucket)(?:\{[^}]*\})?) (\S+)$/gm)];
  return new Map(lines.map(([, series, value]) => [series ?? '', Number(value)]));
}

/** The answer, once all of it is there; `refused` when the service says so, takes no connection or closed it unanswered. */
async function oneScrape(url: string, agent: Agent): Promise<'refused' | { status: number; text: string }> {
  try {
    const response = await new Promise<IncomingMessage>((answer, fail) => {
      get(url, { agent, headers: { authorization } }, answer).once('error', fail);
    });
    const chunks: Buffer[] = await Array.fromAsync(response);
    if (response.statusCode === 503) return 'refused';
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return 'refused';
    throw error;
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await wait(100);
}
