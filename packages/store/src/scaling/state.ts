import type { QueueName, ScalingState } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** Older than this it is no answer any more: whoever computes it is gone, or cannot know. */
const staleAfter = '5 seconds';

export type StoredScalingState = {
  state: ScalingState;
  /** Computed in the last seconds, by the database's clock; one from the future is of before its clock was set back. */
  fresh: boolean;
};

/** What the leading controller has just decided; the time is the database's. */
export async function publishScalingState(db: Db, state: Omit<ScalingState, 'computedAt'>): Promise<void> {
  await db`
    INSERT INTO scaling_state (queue, state, computed_at)
    VALUES (${state.queue}, ${JSON.stringify(state)}::text::jsonb, now())
    ON CONFLICT (queue) DO UPDATE SET state = excluded.state, computed_at = excluded.computed_at`;
}

/** What was decided last, of each queue that was ever decided on. */
export async function readScalingStates(db: Db): Promise<Map<QueueName, StoredScalingState>> {
  const rows = await db<{ queue: QueueName; state: ScalingState; computedAt: Date; fresh: boolean }[]>`
    SELECT queue, state, computed_at AS "computedAt",
           computed_at BETWEEN now() - ${staleAfter}::interval AND now() + ${staleAfter}::interval AS fresh
    FROM scaling_state`;
  return new Map(
    rows.map(({ queue, state, computedAt, fresh }) => [
      queue,
      { state: { ...state, computedAt: computedAt.toISOString() }, fresh },
    ]),
  );
}
