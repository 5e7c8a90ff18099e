import { connect as connectTls } from 'node:tls';
import type { RouteAccess } from '@flowstate/contracts';
import { connect, type ConnectionOptions } from '../connection.ts';
import type { Reading, Unread } from '../metrics/endpoints.ts';
import { readTwice, type Grown } from '../metrics/two-readings.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import { probeRoutes, type ProbedRoute } from './probe-routes.ts';
import type { Verdict } from './verdict.ts';

/** What each service must say of itself: without these its instrumentation is not there. */
const required: Record<string, string[]> = {
  gateway: [
    'http_request_duration_seconds',
    'http_requests_errors_total',
    'http_requests_active',
    'auth_failures_total',
  ],
  worker: [
    'worker_agent_workflows_total',
    'worker_backend_requests_total',
    'worker_backend_request_duration_seconds',
    'worker_active_runs',
  ],
  controller: ['flowstate_queue_jobs', 'flowstate_queue_load', 'flowstate_queue_oldest_age_seconds'],
};
/** Days before a certificate ends. */
const leastDays = 14;

/** Why metrics are missing: targets, TLS, and instrumentation on every route of the gateway's table. */
export async function checkMetrics(options: ConnectionOptions, terminal: Terminal): Promise<Verdict> {
  const client = await connect(options, terminal);
  try {
    const { items } = await client.request<{ items: RouteAccess[] }>('GET', '/api/admin/access/routes');
    let probed: ProbedRoute[] = [];
    const probe = async (readable: Reading[]) => {
      // Nobody would see whether they are counted.
      if (!readable.some(({ service }) => service === 'gateway')) return;
      probed = await probeRoutes(client.url, items, { token: await client.token(), signal: terminal.signal });
    };
    const { readings, unread, grown } = await readTwice(options, probe, terminal);
    const findings: Finding[] = [...unread.map(downTarget), ...readings.map(upTarget)];
    for (const { url } of [...readings, ...unread]) {
      if (url.startsWith('https:')) findings.push(await certificate(new URL(url)));
    }
    findings.push(...readings.map(namesOf));
    if (probed.length > 0) findings.push(routesOf(probed, grown));
    return verdictOf(`${readings.length} targets are up, and each of ${probed.length} routes is measured`, findings);
  } finally {
    await client.close();
  }
}

const upTarget = ({ url, service }: Reading): Finding => ({ step: `target ${url}`, ok: true, seen: `up: ${service}` });

const downTarget = ({ url, why }: Unread): Finding => ({
  step: `target ${url}`,
  ok: false,
  seen: `down: ${why}`,
  knob: /METRICS_TOKEN/.test(why)
    ? 'give the scraper METRICS_TOKEN as its bearer token (Prometheus: authorization.credentials_file)'
    : /certificate|self.signed|SSL|TLS/i.test(why)
      ? 'renew the certificate, or give the scraper its authority (NODE_EXTRA_CA_CERTS here, tls_config.ca_file there)'
      : 'start the service, or correct the address (METRICS_URLS here, static_configs there)',
});

/** Until when the target's certificate holds, whether or not it is trusted here. */
async function certificate(url: URL): Promise<Finding> {
  const step = `TLS of ${url.host}`;
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const socket = connectTls(
    { host: url.hostname, port: Number(url.port || 443), servername: url.hostname, rejectUnauthorized: false },
    () => {
      const until = new Date(socket.getPeerCertificate().valid_to);
      const days = Math.floor((until.getTime() - Date.now()) / 86_400_000);
      const trusted = socket.authorized ? 'trusted' : `NOT trusted here (${String(socket.authorizationError)})`;
      const ok = days >= leastDays && socket.authorized;
      socket.destroy();
      resolve({ step, ok, seen: `valid for ${days} days, ${trusted}`, ...(!ok && { knob: 'renew the certificate' }) });
    },
  );
  socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
  socket.on('error', (error) => resolve({ step, ok: false, seen: error.message, knob: 'renew the certificate' }));
  return promise;
}

function namesOf({ service, url, text }: Reading): Finding {
  const missing = (required[service] ?? []).filter((name) => !text.includes(`# TYPE ${name} `));
  return {
    step: `instrumentation of ${service} (${new URL(url).host})`,
    ok: missing.length === 0 && required[service] !== undefined,
    seen:
      missing.length === 0 ? `${required[service]?.length ?? 0} families are there` : `missing: ${missing.join(', ')}`,
    knob: service === 'worker' ? 'services/worker/src/metrics.ts' : `services/${service}/src/metrics.ts`,
  };
}

/** Each request that was just sent must have been counted under its route. */
function routesOf(probed: readonly ProbedRoute[], grown: Grown): Finding {
  const uncounted = probed.filter(({ method, route }) => {
    const where = { method, route };
    const answers = [
      ...grown('http_request_duration_seconds_count', 'route', where).values(),
      ...grown('http_requests_errors_total', 'route', where).values(),
    ];
    return answers.length === 0;
  });
  return {
    step: 'instrumentation of every route',
    ok: uncounted.length === 0,
    seen:
      uncounted.length === 0
        ? `${probed.length} of the route table, each asked once and counted`
        : `not counted: ${uncounted.map(({ method, route }) => `${method} ${route}`).join(', ')}`,
    knob: 'measureRequests in services/gateway/src/metrics.ts must come before these routes, none with disableMetrics',
  };
}
