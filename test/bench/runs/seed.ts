import {
  acceptRuns,
  endWorker,
  finishRuns,
  listWorkflows,
  registerWorker,
  type AcceptedRun,
  type Sql,
} from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import { outputOf, requestBody, runStep, stepNames } from '../contenders/payload.ts';

const batch = 500;

/** `total` runs that ended as the four-step workflow ends, by the ledger's own statements. */
export async function seedFinishedRuns(sql: Sql, workflow: string, total: number): Promise<void> {
  const owner = await registerPastWorker(sql);
  const newRun = await runsOf(sql, workflow, owner);
  const results = await Promise.all(
    stepNames.map(async (name, step) => ({ name, output: await runStep(step, newRun().input) })),
  );
  const at = new Date().toISOString();
  // Accepted and started are not recorded as events: steps are 3 to 6, the end is 7.
  const events = JSON.stringify(
    results.map(({ name, output }, index) => ({
      seq: index + 3,
      type: 'step.completed',
      at,
      data: { name, effect: 'pure', attempt: 1, startedAt: at, output },
    })),
  );
  const output = JSON.stringify(outputOf(results.map((result) => result.output)));
  for (let left = total; left > 0; left -= batch) {
    const runs = Array.from({ length: Math.min(batch, left) }, newRun);
    // In one transaction: nobody sees them alive, and declares their owner dead.
    await sql.begin(async (tx) => {
      await acceptRuns(tx, runs);
      await finishRuns(
        tx,
        runs.map(({ id }) => ({
          runId: id,
          owner,
          chunk: 0,
          state: 'completed',
          lastSeq: 7,
          events,
          output,
          error: null,
        })),
      );
    });
  }
}

/** Nobody sees it alive: while a worker lives that carries nothing, runs take the lanes of those that carry them. */
async function registerPastWorker(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    const worker = { host: 'bench', pid: process.pid, bundle: 'bench', carries: [], concurrency: 1 };
    const id = await registerWorker(tx, worker);
    await endWorker(tx, id);
    return id;
  });
}

/** `total` runs that wait to be run. */
export async function seedQueuedRuns(sql: Sql, workflow: string, total: number): Promise<void> {
  const newRun = await runsOf(sql, workflow, null);
  for (let left = total; left > 0; left -= batch) {
    await acceptRuns(sql, Array.from({ length: Math.min(batch, left) }, newRun));
  }
}

async function runsOf(sql: Sql, name: string, owner: number | null): Promise<() => AcceptedRun> {
  const workflow = (await listWorkflows(sql)).find((each) => each.name === name);
  const [manager] = await sql<{ id: string; epoch: number }[]>`
    SELECT id, epoch FROM users, policy WHERE role = 'manager'`;
  if (workflow === undefined || manager === undefined) throw new Error(`${name} was not published`);
  const input = JSON.stringify((JSON.parse(requestBody) as { input: unknown }).input);
  return () => ({
    id: uuidv7(),
    workflowId: workflow.id,
    queue: workflow.queue,
    principalId: manager.id,
    role: 'manager',
    priority: 5,
    tags: ['seeded'],
    input,
    webhookUrl: null,
    trace: null,
    delayMs: 0,
    owner,
    epoch: manager.epoch,
  });
}
