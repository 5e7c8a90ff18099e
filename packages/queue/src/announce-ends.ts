import type { EndedRun } from '@flowstate/contracts';
import type { PublishNews, RunNews } from './run-events.ts';
import type { RunQueues } from './run-queues.ts';

type Channels = { queues: Pick<RunQueues, 'withdraw'>; publish: PublishNews };

/**
 * After commit: tells who watches runs that ended without an owner, and takes their jobs out of the queue. What Redis
 * does not take does no harm: watchers read Postgres, and a late delivery finds nothing to claim.
 */
export async function announceEnds({ queues, publish }: Channels, ended: EndedRun[], by?: string): Promise<void> {
  const at = new Date().toISOString();
  await Promise.all(
    ended.map(async ({ seq, state, error, delivery }) => {
      const data = { ...(by !== undefined && { by }), ...(error !== null && { error }) };
      const news: RunNews = [{ seq, type: `run.${state}`, at, data }];
      publish(delivery.runId, () => JSON.stringify(news));
      await queues.withdraw(delivery).catch(() => {});
    }),
  );
}
