import type { Test } from 'tap';
import { auditEffects } from './audit-effects.ts';
import { auditRun } from './audit.ts';
import { logIn, type Client } from './clients.ts';
import { startCluster, type Cluster } from './cluster.ts';
import { startFarEnd, type Execution, type FarEnd } from './far-end.ts';
import { injectFaults, type Incident } from './faults.ts';
import { createFindings, type Findings } from './findings.ts';
import { followRun } from './follow.ts';
import { kinds } from './kinds.ts';
import { createRandom, type Random } from './random.ts';
import { summarise, type Report } from './report.ts';
import type { RunRecord } from './run-record.ts';
import { faultSchedule } from './schedule.ts';
import { runWorkload, type Workload } from './workload.ts';

export type ChaosOptions = {
  runs: number;
  seed: number;
  /** How long runs are started and faults happen; the last runs end after it. */
  durationMs: number;
  /** Mean time between faults. */
  faultEveryMs: number;
  /** Workers are also stopped for longer than their lease. */
  pastLease: boolean;
  say: (line: string) => void;
  signal?: AbortSignal;
};

const roles = ['admin', 'manager', 'agent', 'integration', 'service'] as const;
/** After the last start everything accepted must have ended within this. */
const settleMs = 60_000;
/** For the audit, after that. */
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
  const signal = until(durationMs + settleMs);
  const shared = { farEnd, findings, signal };
  let phase = signal;
  const clients = await logInAll(cluster, random, findings, () => phase);
  note(`ready: seed ${seed}, ${runs} runs in ${durationMs / 1000} s`);

  const schedule = faultSchedule(random.fork('faults'), {
    durationMs,
    everyMs: options.faultEveryMs,
    pastLease: options.pastLease,
  });
  const workload: Workload = { records: [], replays: 0 };
  const [faults] = await Promise.all([
    injectFaults({ cluster, schedule, durationMs, note, findings, signal, underWay: () => underWay(workload) }),
    runWorkload({ ...shared, kinds, runs, durationMs, clients, random: random.fork('workload'), done: workload }),
  ]);
  note('all ended, or given up');
  const started = workload.records.filter((run) => run.accepted).length;
  if (started < runs) findings.add(`only ${started} of ${runs} runs were accepted in time`);

  phase = until(auditMs);
  const manager = clients[1] as Client;
  const records = await reconcile(workload.records, manager, { farEnd, findings, random, signal: until(settleMs) });
  const byTicket = Map.groupBy(farEnd.executions, ({ ticket }) => ticket);
  await audit(records, byTicket, manager, { farEnd, findings });
  auditEffects(farEnd, findings);
  for (const client of clients) {
    for (const at of cluster.gateways.keys()) await client.call('GET', '/api/auth/me', { at });
  }
  return summarise({ options, records, workload, farEnd, findings, incidents, faults, began });
}

/** Ids of runs somebody may be running right now. */
function underWay({ records }: Workload): string[] {
  return records.flatMap(({ id, state, delayMs }) =>
    id !== undefined && state === 'open' && delayMs === 0 ? [id] : [],
  );
}

type Shared = {
  farEnd: FarEnd;
  findings: Findings;
  signal: AbortSignal;
};

function logInAll({ gateways, password }: Cluster, random: Random, findings: Findings, signal: () => AbortSignal) {
  const urls = gateways.map(({ url }) => url);
  return Promise.all(roles.map((role) => logIn({ urls, role, password, random: random.fork(role), findings, signal })));
}

type Listed = { items: { id: string; tags: string[] }[]; nextCursor: string | null };

/** Finds in the ledger what nobody knew was accepted, follows it to its end, and misses what was answered 202. */
async function reconcile(records: RunRecord[], client: Client, shared: Shared & { random: Random }) {
  const { findings, signal } = shared;
  const listed = new Map<string, string>();
  const byTicket = new Map(records.map((run) => [run.ticket, run]));
  let cursor: string | null = null;
  do {
    const page: Listed = (
      await client.call<Listed>('GET', `/api/runs?limit=200${cursor === null ? '' : `&cursor=${cursor}`}`)
    ).body;
    for (const { id, tags } of page.items) {
      const ticket = tags[0] ?? '';
      if (listed.has(ticket)) findings.add(`${ticket} was accepted twice: ${listed.get(ticket)} and ${id}`, id);
      listed.set(ticket, id);
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  for (const run of records) {
    if (run.accepted && listed.get(run.ticket) !== run.id)
      findings.add(`${run.ticket} was answered 202 and is not in the ledger`, run.id);
  }
  const known: (RunRecord & { id: string })[] = [];
  for (const [ticket, id] of listed) {
    const run = byTicket.get(ticket);
    if (run === undefined) findings.add(`nobody asked for a run with the tag ${ticket}`, id);
    else known.push(Object.assign(run, { id }));
  }
  const open = known.filter((run) => run.state === 'open' && !signal.aborted);
  await Promise.allSettled(open.map((run) => followRun(run, { ...shared, client })));
  return known;
}

/** Audits at the very end, so that whatever a worker did too late is seen. */
async function audit(
  records: (RunRecord & { id: string })[],
  byTicket: Map<string, Execution[]>,
  client: Client,
  { farEnd, findings }: Omit<Shared, 'signal'>,
): Promise<void> {
  const waiting = records.values();
  async function lane(): Promise<void> {
    for (const run of waiting) {
      if (run.state === 'open') {
        const { body } = await client.call<{ state: string }>('GET', `/api/runs/${run.id}`);
        findings.add(`it is ${body.state} and its events have not ended`, run.id);
        continue;
      }
      await auditRun({ run, client, farEnd, findings, executions: byTicket.get(run.ticket) ?? [] });
    }
  }
  await Promise.all(Array.from({ length: 8 }, lane));
}
