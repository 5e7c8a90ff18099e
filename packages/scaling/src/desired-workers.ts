/** What one queue asks of its workers, as counted at one moment. */
export type Demand = {
  /** Runs that workers hold. */
  active: number;
  /** Runs nobody has begun that may run now, or by the time a new worker is up. */
  waiting: number;
  /** Nothing of it begins: only what is active counts. */
  paused: boolean;
  /** Runs accepted a second, of late. */
  arrivalPerSecond: number;
  /** Seconds a run holds a place of a worker, on average; null: none has ended of late. */
  serviceSeconds: number | null;
};

/** What decides how many workers a queue's demand gets. */
export type ScalingPolicy = {
  min: number;
  max: number;
  /** Places of one worker: runs it holds at a time. */
  concurrency: number;
  /** Share of the places that are in use when all is well; the rest is there for what comes next. */
  utilisation: number;
  /** What waits is to begin within so many seconds. */
  waitGoalSeconds: number;
  /** Postgres connections that all workers may take together, and what one takes; null: no bound. */
  connections: { budget: number; perWorker: number } | null;
  /** Runs a second that the model provider's rate limit lets through; null: no bound. */
  providerRunsPerSecond: number | null;
};

/** Set by a person for a while: bounds in place of the policy's. */
export type ScalingOverride = { min: number | null; max: number | null };

/** What the number came from; a metric's label takes no other values. */
export const scalingReasons = [
  'idle',
  'paused',
  'load',
  'latency',
  'min',
  'max',
  'connections',
  'provider',
  'override',
] as const;
export type ScalingReason = (typeof scalingReasons)[number];

export type Decision = {
  workers: number;
  reason: ScalingReason;
  /** What load and wait goal ask for, before any bound. */
  byLoad: number;
  byLatency: number;
};

/**
 * The workers a queue should have: enough for what is there with some room (`byLoad`), and enough to keep up with what
 * arrives while what waits begins within the goal (`byLatency`, Little's law), within the bounds.
 */
export function desiredWorkers(demand: Demand, policy: ScalingPolicy, override?: ScalingOverride | null): Decision {
  const { active, paused } = demand;
  const waiting = paused ? 0 : demand.waiting;
  const arrival = paused ? 0 : demand.arrivalPerSecond;
  const service = demand.serviceSeconds ?? 0;
  const byLoad = ceil((active + waiting) / (policy.concurrency * policy.utilisation));
  const byLatency = ceil((arrival * service + (waiting * service) / policy.waitGoalSeconds) / policy.concurrency);
  const asked = Math.max(byLoad, byLatency);
  const reason = paused ? 'paused' : asked === 0 ? 'idle' : byLatency > byLoad ? 'latency' : 'load';
  return { ...bounded({ workers: asked, reason }, service, policy, override), byLoad, byLatency };
}

type Choice = Pick<Decision, 'workers' | 'reason'>;

/** A person's word counts more than the policy's bounds, and nothing more than what Postgres can bear. */
function bounded(
  asked: Choice,
  serviceSeconds: number,
  policy: ScalingPolicy,
  override: ScalingOverride | null | undefined,
): Choice {
  const { connections, providerRunsPerSecond } = policy;
  let choice = asked;
  const atMost = (workers: number, reason: ScalingReason) => {
    if (choice.workers > workers) choice = { workers, reason };
  };
  const atLeast = (workers: number, reason: ScalingReason) => {
    if (choice.workers < workers) choice = { workers, reason };
  };
  // Places beyond what the provider lets through would only wait there.
  if (providerRunsPerSecond !== null && serviceSeconds > 0) {
    atMost(Math.max(1, ceil((providerRunsPerSecond * serviceSeconds) / policy.concurrency)), 'provider');
  }
  const own = { min: override?.min ?? null, max: override?.max ?? null };
  const max = own.max ?? policy.max;
  atMost(max, own.max === null ? 'max' : 'override');
  atLeast(Math.min(own.min ?? policy.min, max), own.min === null ? 'min' : 'override');
  if (connections !== null) atMost(Math.floor(connections.budget / connections.perWorker), 'connections');
  return choice;
}

/** Sums of fractions come out a hair above the whole number they are. */
const ceil = (value: number) => Math.ceil(value - 1e-9);
