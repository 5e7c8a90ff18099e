import { setTimeout as wait } from 'node:timers/promises';
import { commonLane, createRunQueues } from '@flowstate/queue';
import { emptyRedis, openRedis } from '@flowstate/test';
import type { Cluster, Member } from './cluster.ts';
import type { Findings } from './findings.ts';
import type { Fault, FaultName } from './schedule.ts';

export type Incident = { at: number; what: string };

type Options = {
  cluster: Cluster;
  schedule: Fault[];
  durationMs: number;
  findings: Findings;
  note: (line: string) => void;
  /** Ids of runs that have not ended. */
  underWay: () => string[];
  signal: AbortSignal;
};

/** What a fault needs to itself, besides the process it hits. */
const alone: Partial<Record<FaultName, ('postgres' | 'redis')[]>> = {
  'restart-redis': ['redis'],
  'flush-redis': ['redis'],
  'repeat-deliveries': ['redis'],
  'restart-postgres': ['postgres'],
  'kill-worker-without-postgres': ['postgres'],
  // Exit code 0 and an unlost session are promised while the stores are there.
  'drain-worker': ['postgres', 'redis'],
  'pause-worker': ['postgres'],
};

/** Faults after which the process is gone and is started again. */
const ends = new Set<FaultName>([
  'kill-worker',
  'kill-worker-without-postgres',
  'kill-gateway',
  'kill-controller',
  'drain-worker',
]);

/**
 * Makes things go wrong as scheduled, and right again; resolves with what was done when everything runs once more.
 * Faults overlap, but not on one process or store: each waits for those before it, and is left out when its turn comes
 * after `durationMs`.
 */
export async function injectFaults(options: Options): Promise<Fault[]> {
  const { cluster, schedule, durationMs, findings, note, signal } = options;
  const began = Date.now();
  const exclusively = createTurns();
  const done: Fault[] = [];
  const all: Promise<void>[] = [];
  for (const fault of schedule) {
    await wait(Math.max(0, began + fault.atMs - Date.now()), undefined, { signal }).catch(() => {});
    const member = targetOf(cluster, fault);
    const name = member ? `${fault.name} ${member.name}` : fault.name;

    async function hit(): Promise<void> {
      if (signal.aborted || Date.now() > began + durationMs) return;
      note(`${name}${fault.forMs > 0 ? ` for ${fault.forMs} ms` : ''}`);
      done.push(fault);
      await inject(options, fault, member);
    }
    // Somebody must be there to ask, however long it takes to start one again.
    const resource = fault.name === 'kill-gateway' ? ['gateways'] : member ? [member.name] : [];
    const work = exclusively(resource, async () => {
      await exclusively(alone[fault.name] ?? [], hit);
      if (!done.includes(fault) || !member || !ends.has(fault.name)) return;
      if (fault.name !== 'kill-worker-without-postgres') await wait(fault.forMs);
      await member.start();
    });
    all.push(
      work.then(
        () => note(`${name}: over`),
        (error: unknown) => findings.add(`${name}: ${String(error)}`),
      ),
    );
  }
  await Promise.all(all);
  return done;
}

/** One at a time on each resource, in the order of asking. */
function createTurns() {
  const last = new Map<string, Promise<void>>();
  return async (resources: string[], work: () => Promise<void>): Promise<void> => {
    const before = resources.map((resource) => last.get(resource) ?? Promise.resolve());
    const turn = Promise.all(before).then(work);
    for (const resource of resources)
      last.set(
        resource,
        turn.catch(() => {}),
      );
    await turn;
  };
}

function targetOf({ workers, gateways, controllers }: Cluster, { name, target }: Fault): Member | undefined {
  const group = /worker/.test(name)
    ? workers
    : name === 'kill-gateway'
      ? gateways
      : name === 'kill-controller'
        ? controllers
        : [];
  return group[target % Math.max(1, group.length)];
}

async function inject(
  { cluster: { stores, redisUrl }, findings, underWay }: Options,
  { name, atMs, forMs }: Fault,
  member: Member | undefined,
) {
  switch (name) {
    case 'flush-redis':
      return flushAll(redisUrl);
    case 'repeat-deliveries':
      return deliverAgain(redisUrl, underWay(), 900_000 + (atMs % 90_000));
    case 'restart-redis':
    case 'restart-postgres': {
      const store = stores[name === 'restart-redis' ? 'redis' : 'postgres'];
      await store.kill();
      await wait(forMs);
      return store.start();
    }
    case 'kill-worker-without-postgres':
      // A host lost: whatever was told before it was on record is told of nothing now.
      await stores.postgres.kill();
      await wait(forMs);
      await member?.kill('SIGKILL');
      return stores.postgres.start();
    case 'kill-worker':
    case 'kill-gateway':
    case 'kill-controller':
      await member?.kill('SIGKILL');
      return undefined;
    case 'drain-worker': {
      const how = await member?.kill('SIGTERM');
      if (how?.code !== 0) findings.add(`${member?.name} was to drain, but ended with ${how?.code ?? how?.signal}`);
      return undefined;
    }
    case 'pause-worker':
    case 'pause-worker-past-lease': {
      if (member === undefined) return undefined;
      // Not right after an outage: it must have its session back for the stop to find it alive.
      const before = await incarnationOf(member, Date.now());
      member.signal('SIGSTOP');
      await wait(forMs);
      member.signal('SIGCONT');
      const after = await incarnationOf(member, Date.now());
      if (name === 'pause-worker' && before !== after) {
        findings.add(
          `${member.name} was stopped for ${forMs} ms only, and declared dead (incarnation ${before}, then ${after})`,
        );
      }
      return undefined;
    }
  }
}

/** A queue may deliver a job twice: with ids of no delivery of the ledger's own, so that none of those is in the way. */
async function deliverAgain(redisUrl: string, runIds: string[], dispatch: number): Promise<void> {
  const queues = createRunQueues(redisUrl, commonLane, () => {});
  const again = { queue: 'workflows', priority: 0, dispatch, workflowId: 0, suspect: false } as const;
  const deliveries = runIds.map((runId) => ({ ...again, runId }));
  try {
    // Its connection is made meanwhile, and asking before that is refused at once.
    for (let tries = 1; ; tries++) {
      const refused = await queues.deliver(deliveries).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (refused === undefined) return;
      if (tries === 100) throw refused;
      await wait(50);
    }
  } finally {
    await queues.close();
  }
}

async function flushAll(url: string): Promise<void> {
  const redis = openRedis(url);
  redis.on('error', () => {}); // it may be starting just now: the client comes back
  await emptyRedis(redis);
  redis.disconnect();
}

type Readiness = { checks?: { name: string; latencyMs: number }[] };

/** The number a worker goes by according to a heartbeat answered after `since`. */
async function incarnationOf({ url }: Member, since: number): Promise<number> {
  for (;;) {
    const ready = (await (await fetch(new URL('/ready', url))).json()) as Readiness;
    const heartbeat = ready.checks?.find(({ name }) => name === 'heartbeat');
    if (heartbeat && heartbeat.latencyMs < Date.now() - since) {
      return ((await (await fetch(new URL('/health', url))).json()) as { incarnation: number }).incarnation;
    }
    await wait(100);
  }
}
