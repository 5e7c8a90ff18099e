import type { Test } from 'tap';
import { auditEffects } from './audit-effects.ts';
import { auditRun } from './audit.ts';
import { logIn, type Client } from './clients.ts';
import { startCluster, type Cluster } from './cluster.ts';
import { startFarEnd, type FarEnd } from './far-end.ts';
import { injectFaults, type Incident } from './faults.ts';
import { createFindings, type Findings } from './findings.ts';
import { kinds } from './kinds.ts';
import { inLanes } from './lanes.ts';
import { createPerson } from './person.ts';
import { createRandom, type Random } from '../support/random.ts';
import { reconcile, type KnownRun } from './reconcile.ts';
import { summarise, type Report } from './report.ts';
import { faultSchedule } from './schedule.ts';
import { startWebhooks, type Webhooks } from './webhooks.ts';
import { runWorkload, type Workload } from './workload.ts';

export type ChaosOptions = {
  runs: number;
  seed: number;
  /** How long runs are started and faults happen; the last runs end after it. */
  durationMs: number;
  /** Mean time between faults. */
  faultEveryMs: number;
  say: (line: string) => void;
  signal?: AbortSignal;
};

const roles = ['admin', 'manager', 'agent', 'integration', 'service'] as const;
/** Everything accepted must have ended, and been told, this long after twice the time it was started in. */
const settleMs = 120_000;
/** For reading all of it, after that. */
const auditMs = 300_000;

/** The whole suite; the reason where its stores cannot be had. */
export async function runChaos(t: Pick<Test, 'teardown'>, options: ChaosOptions): Promise<Report | string> {
  const { seed, runs, durationMs, say } = options;
  const findings = createFindings();
  const random = createRandom(seed);
  const began = Date.now();
  const incidents: Incident[] = [];
  const note = (what: string) => {
    incidents.push({ at: Date.now(), what });
    say(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`);
  };
  const cluster = await startCluster(t, { findings, note });
  if (typeof cluster === 'string') return cluster;
  const farEnd = await startFarEnd();
  t.teardown(() => farEnd.close());
  const until = (ms: number) => AbortSignal.any([AbortSignal.timeout(ms), ...(options.signal ? [options.signal] : [])]);
  const webhooks = await startWebhooks(t, { secret: cluster.webhookSecret, findings });
  const signal = until(2 * durationMs + settleMs);
  let phase = signal;
  const clients = await logInAll(cluster, random, findings, () => phase);
  const manager = clients[1] as Client;
  const person = createPerson({ client: manager, farEnd, workerUrls: cluster.workers.map(({ url }) => url) });
  const shared = { person, farEnd, webhooks, findings };
  note(`ready: seed ${seed}, ${runs} runs in ${durationMs / 1000} s`);

  const schedule = faultSchedule(random.fork('faults'), {
    durationMs,
    everyMs: options.faultEveryMs,
    workers: cluster.workers.length,
  });
  const workload: Workload = { records: [], replays: 0 };
  const [faults] = await Promise.all([
    injectFaults({ cluster, schedule, durationMs, note, findings, signal, underWay: () => underWay(workload) }),
    runWorkload({
      ...shared,
      kinds,
      runs,
      durationMs,
      clients,
      random: random.fork('workload'),
      signal,
      done: workload,
    }),
  ]);
  note('all ended, or given up');
  const started = workload.records.filter((run) => run.accepted).length;
  if (started < runs) findings.add(`only ${started} of ${runs} runs were accepted in time`);

  phase = until(auditMs);
  const records = await reconcile(workload.records, { ...shared, client: manager, random, signal });
  note('so have their children and forks');
  await audit(records, { ...shared, client: manager, signal });
  auditEffects(farEnd, new Set(records.map(({ id }) => id)), findings);
  for (const client of clients) {
    for (const at of cluster.gateways.keys()) await client.call('GET', '/api/auth/me', { at });
  }
  note('audited');
  return summarise({ options, records, workload, webhooks, person, farEnd, findings, incidents, faults, began });
}

/** Ids of runs somebody may be running right now. */
function underWay({ records }: Workload): string[] {
  return records.flatMap(({ id, state, delayMs }) =>
    id !== undefined && state === 'open' && delayMs === 0 ? [id] : [],
  );
}

type Audit = {
  client: Client;
  farEnd: FarEnd;
  webhooks: Webhooks;
  findings: Findings;
  signal: AbortSignal;
};

function logInAll({ gateways, password }: Cluster, random: Random, findings: Findings, signal: () => AbortSignal) {
  const urls = gateways.map(({ url }) => url);
  return Promise.all(roles.map((role) => logIn({ urls, role, password, random: random.fork(role), findings, signal })));
}

/** Audits at the very end, so that whatever a worker did too late is seen. */
async function audit(records: KnownRun[], shared: Audit): Promise<void> {
  const executions = Map.groupBy(shared.farEnd.executions, ({ run }) => run);
  // The original, where there are forks: it comes first.
  const ids = new Map(records.toReversed().map(({ ticket, id }) => [ticket, id]));
  const idOf = (ticket: string) => ids.get(ticket);
  await inLanes(records, 8, async (run) => {
    if (run.state === 'ended') return auditRun({ ...shared, run, executions: executions.get(run.id) ?? [], idOf });
    const { body } = await shared.client.call<{ state: string }>('GET', `/api/runs/${run.id}`);
    shared.findings.add(`it is ${body.state} and its events have not ended`, run.id);
    return undefined;
  });
}
