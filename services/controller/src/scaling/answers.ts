import { FlowstateError, type QueueName, type ScalingState } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import { readScalingStates, type Sql } from '@flowstate/store';

export type ScalingAnswers = {
  /**
   * How the queue is to be scaled, as decided in the last seconds. Throws `unavailable` while nobody can know, and
   * `not_found` for a queue there is none of: never a zero that nobody counted.
   */
  of(queue: QueueName): Promise<ScalingState>;
  /** All that are known right now; none while nobody can know. */
  known(): Promise<Map<QueueName, ScalingState>>;
};

type Options = { sql: Sql; queues: Pick<RunQueues, 'ready'> };

/** An autoscaler gives up after three seconds, and would not know why. */
const patienceMs = 2_000;

/** What every controller answers, whoever leads. */
export function createScalingAnswers({ sql, queues }: Options): ScalingAnswers {
  async function known(): Promise<Map<QueueName, ScalingState>> {
    // At once, and not when the last decision goes stale.
    if (!queues.ready()) throw new FlowstateError('unavailable', 'Redis is away: nobody can say what is in the queues');
    const stored = await inTime(readScalingStates(sql)).catch((cause: unknown) => {
      throw new FlowstateError('unavailable', 'Postgres is away: nobody can say what is in the queues', { cause });
    });
    return new Map([...stored].flatMap(([queue, { state, fresh }]) => (fresh ? [[queue, state]] : [])));
  }

  return {
    known,
    async of(queue) {
      const state = (await known()).get(queue);
      if (state === undefined) throw new FlowstateError('unavailable', 'No controller has decided in the last seconds');
      return state;
    },
  };
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
