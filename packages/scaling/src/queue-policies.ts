/** How one queue is scaled, as this repository or an operator has it; what is null is found out on the spot. */
export type QueuePolicy = {
  min: number;
  max: number;
  /** Places of one worker, while none lives that says how many it has. */
  concurrency: number;
  utilisation: number;
  waitGoalSeconds: number;
  /** Postgres connections that all workers may take together; null: a share of those the server allows. */
  connectionBudget: number | null;
  /** Runs a second that the model provider's rate limit lets through; null: no bound. */
  providerRunsPerSecond: number | null;
};

/** What a worker process opens at most: 6 for the ledger, 2 for claims, 1 that shows that it lives. */
export const connectionsPerWorker = 9;

/** The same where a pooler stands between: the session that shows that it lives. The pooler bounds the others. */
export const connectionsPerPooledWorker = 1;

/** A gateway: 12 for requests, 8 for accepts, 1 each for the audit log and for measuring recall. */
export const connectionsPerGateway = 22;

/** A controller: 4, 1 for retention, 1 that holds the lead or waits for it. */
export const connectionsPerController = 6;

/** Of the connections Postgres allows, workers get so many; gateways, the controller and people need the others. */
export const workersShare = 0.6;

const everyQueue: QueuePolicy = {
  min: 0,
  max: 100,
  concurrency: 16,
  utilisation: 0.8,
  waitGoalSeconds: 10,
  connectionBudget: null,
  providerRunsPerSecond: null,
};

/**
 * The thresholds of this repository: normal is what stands here. Runs of people who wait begin within seconds; bulk
 * ingestion has a minute.
 */
export const defaultPolicies: Readonly<Record<'workflows' | 'documents', QueuePolicy>> = {
  workflows: everyQueue,
  documents: { ...everyQueue, waitGoalSeconds: 60 },
};
