import { limitsOf, queueNames, type LiveState, type QueueName } from '@flowstate/contracts';
import {
  countLiveRuns,
  listLimits,
  publishCensus,
  readQueueStates,
  workflowCaps,
  type Lanes,
  type LiveCount,
  type Sql,
  type WorkflowCaps,
} from '@flowstate/store';
import { readCaps, rolesFor } from './caps.ts';

/** What stands in the ledger, as last counted. */
export type Counted = {
  queues: Record<QueueName, QueueCount>;
  /** Due runs of versions that no live worker carries; zero of those that one carries. */
  stranded: { workflow: string; version: string; runs: number }[];
  /** Runs that have not ended, of each published workflow. */
  live: Map<string, Record<LiveState, number>>;
};

export type QueueCount = {
  paused: boolean;
  /** In line, due now or within a worker's start-up time. */
  backlog: number;
  /** Of these, what caps and the versions of the workers allow to run. */
  deliverable: number;
  /** Runs that workers own. */
  held: number;
  /** Handed to the queue, of a version somebody carries, and claimed by nobody yet. */
  handed: number;
  /** Seconds the oldest run that nobody has begun is ready. */
  oldestSeconds: number;
};

export type Census = {
  /** Counts when it is time: seldom when counting takes long. */
  count(): Promise<void>;
  /** Null before the first count. */
  latest(): Counted | null;
};

type Published = Pick<WorkflowCaps, 'id' | 'name' | 'version'>;
type Options = { sql: Sql; lanes: Pick<Lanes, 'laneOf' | 'carried'>; leads: () => boolean };

const everyMs = 1_000;
/** Share of one core that counting may take. */
const effort = 1 / 50;
/** Gateways are told of principals who could reach their limit before the next count: they start no more in that time. */
const untilNextCount = 10_000;

/** Counts live runs: for the metrics, and for gateways, which refuse runs of whoever has too many. */
export function createCensus({ sql, lanes, leads }: Options): Census {
  let latest: Counted | null = null;
  let nextAt = -Infinity;
  let led = false;

  async function count(): Promise<void> {
    // A new leader at once: gateways refuse nobody until somebody has counted.
    if (performance.now() < nextAt && leads() === led) return;
    led = leads();
    const begun = performance.now();
    const { countedAt, counts } = await countLiveRuns(sql);
    nextAt = performance.now() + Math.max(everyMs, (performance.now() - begun) / effort);
    if (led) await publishCensus(sql, { countedAt, crowded: await crowded(sql, counts) });
    const workflows = await workflowCaps(sql);
    latest = {
      queues: await queueCounts(counts),
      stranded: stranded(counts, workflows),
      live: liveStates(counts, workflows),
    };
  }

  const isCarried = ({ workflowId }: LiveCount) => lanes.laneOf({ workflowId, suspect: false }) !== null;

  async function queueCounts(counts: readonly LiveCount[]): Promise<Counted['queues']> {
    const paused = new Map((await readQueueStates(sql)).map((state) => [state.queue, state.paused]));
    const caps = await readCaps(sql, [...new Set(counts.map(({ principalId }) => principalId))]);
    const queues = Object.fromEntries(
      queueNames.map((queue) => [
        queue,
        { paused: paused.get(queue) ?? false, backlog: 0, deliverable: 0, held: 0, handed: 0, oldestSeconds: 0 },
      ]),
    ) as Counted['queues'];
    for (const line of counts) {
      const queue = queues[line.queue];
      queue.backlog += line.due;
      queue.held += line.held;
      if (isCarried(line)) {
        queue.deliverable += caps.reserve(line, line.due);
        queue.handed += line.handed;
      }
      queue.oldestSeconds = Math.max(queue.oldestSeconds, line.oldestSeconds ?? 0);
    }
    return queues;
  }

  function stranded(counts: readonly LiveCount[], workflows: readonly Published[]): Counted['stranded'] {
    const left = Map.groupBy(
      counts.filter((line) => line.due > 0 && !isCarried(line)),
      ({ workflowId }) => workflowId,
    );
    const shown = new Set([...left.keys(), ...lanes.carried()]);
    return workflows
      .filter(({ id }) => shown.has(id))
      .map(({ id, name, version }) => ({
        workflow: name,
        version,
        runs: (left.get(id) ?? []).reduce((sum, { due }) => sum + due, 0),
      }));
  }

  return { count, latest: () => latest };
}

/** Sums over principals and versions. A workflow without a live run is there, too: a series that ends tells nothing. */
function liveStates(counts: readonly LiveCount[], workflows: readonly Published[]): Counted['live'] {
  const live: Counted['live'] = new Map();
  const byId = Map.groupBy(counts, ({ workflowId }) => workflowId);
  for (const { id, name } of workflows) {
    const sums = live.get(name) ?? { queued: 0, running: 0, waiting: 0, parked: 0, quarantined: 0 };
    for (const { states } of byId.get(id) ?? []) {
      for (const [state, runs] of Object.entries(states)) sums[state as LiveState] += runs;
    }
    live.set(name, sums);
  }
  return live;
}

/** Principals who may reach their limit, with how many live runs they have. */
async function crowded(sql: Sql, counts: readonly LiveCount[]): Promise<Record<string, number>> {
  const live = Map.groupBy(counts, ({ principalId }) => principalId);
  const limits = await listLimits(sql);
  const roles = await rolesFor(sql, limits, [...live.keys()]);
  return Object.fromEntries(
    [...live].flatMap(([id, lines]) => {
      const runs = lines.reduce((sum, line) => sum + line.live, 0);
      return runs + untilNextCount >= limitsOf(limits, { id, role: roles.get(id) }).maxBacklog ? [[id, runs]] : [];
    }),
  );
}
