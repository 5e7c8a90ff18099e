import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import {
  acceptRuns,
  claimRuns,
  dueGroups,
  dueRuns,
  handOver,
  listWorkflows,
  publishWorkflow,
  registerWorker,
  type AcceptedRun,
  type Db,
  type Sql,
} from '../src/index.ts';

/** A published workflow, and a way to accept runs of it. */
export async function ledgerFixture(sql: Sql) {
  await publishWorkflow(sql, {
    name: 'sample',
    version: '1',
    description: 'for tests',
    queue: 'workflows',
    input: { type: 'object' },
    output: {},
  });
  const [workflow] = await listWorkflows(sql);
  if (workflow === undefined) throw new Error('not published');
  const principalId = randomUUID();
  const newRun = (overrides: Partial<AcceptedRun> = {}): AcceptedRun => ({
    id: uuidv7(),
    workflowId: workflow.id,
    queue: 'workflows',
    principalId,
    role: 'manager',
    priority: 5,
    tags: ['a, "b"', 'ü'],
    input: '{"text":"\\u0000 NUL"}',
    webhookUrl: null,
    trace: null,
    delayMs: 0,
    owner: null,
    ...overrides,
  });
  return {
    principalId,
    newRun,
    async accept(overrides: Partial<AcceptedRun> = {}): Promise<string> {
      const run = newRun(overrides);
      await acceptRuns(sql, [run]);
      return run.id;
    },
    worker: () => registerWorker(sql, { host: 'test', pid: 1, bundle: 'test', carries: [workflow.id], concurrency: 1 }),
    /** Everything that is due, as the feeder takes it. */
    async takeDue() {
      const groups = (await dueGroups(sql, 'workflows')).map((group) => ({ ...group, read: 1_000 }));
      const runs = await dueRuns(sql, 'workflows', groups);
      return handOver(
        sql,
        runs.map(({ id }) => ({ id, capped: false })),
      );
    },
    claim: (owner: number, ids: string[], db: Db = sql) => claimRuns(db, owner, [workflow.id], ids),
  };
}
