import { rounds } from '@flowstate/queue';
import { publishQueueState, type QueueState, type Sql } from '@flowstate/store';

const publishEveryMs = 500;
/** Longer than any gateway's look at the queue's state is old. */
const turnMs = 2_000;
/** Jobs worth so many passes are kept in Redis, so that workers do not run dry between two of them. */
const passesAhead = 4;

export type QueueWindow = {
  /** Jobs that may be added now, with `waiting` of them in Redis. */
  room(state: QueueState, waiting: number): number;
  /** After a pass: `fed` jobs were added; `open`: nothing that could go on was left in the ledger's line. */
  passed(state: QueueState, pass: { waiting: number; fed: number; open: boolean }): Promise<void>;
  /** Jobs aimed at when the last pass was made. */
  size(): number;
};

type Options = {
  sql: Sql;
  /** Jobs in Redis at most. */
  max: () => number;
  /** Jobs that one worker each could take at once: below twice that workers would wait for the feeder. */
  concurrency: () => number;
};

/**
 * How much of the ledger's line is in Redis, where nobody can re-order it any more: as little as keeps the workers
 * busy, so that a run that comes now waits behind few others, and never more than `max`. What is added is numbered in
 * rounds; later rounds are served later whatever their priority, so that nothing in Redis is overtaken for ever.
 */
export function createQueueWindow({ sql, max, concurrency }: Options): QueueWindow {
  let size = 0;
  /** Jobs waiting when the last pass was over. */
  let held = 0;
  let fedInRound = 0;
  let published = { open: true, size: 0, round: -1, at: -Infinity };
  let turningSince: number | undefined;

  return {
    room(state, waiting) {
      const started = Math.max(0, held - waiting);
      size = Math.min(max(), Math.max(16, 2 * concurrency(), passesAhead * started));
      // The last round: those before it are served first, then counting begins anew.
      if (state.round >= rounds - 1) {
        turningSince ??= performance.now();
        return 0;
      }
      return state.paused ? 0 : Math.max(0, size - waiting);
    },
    async passed(state, { waiting, fed, open }) {
      held = waiting + fed;
      fedInRound += fed;
      const now = performance.now();
      const due = now - published.at >= publishEveryMs;
      let { round } = state;
      if (turningSince !== undefined) {
        if (waiting === 0 && now - turningSince > turnMs) [round, turningSince] = [0, undefined];
      } else if (fedInRound >= max() / 2 || (due && held > 0)) {
        round += 1;
      }
      if (round !== state.round) fedInRound = 0;
      const next = { open: open && !state.paused && turningSince === undefined, size: max(), round };
      if (!due && next.open === published.open && next.size === published.size && round === published.round) return;
      await publishQueueState(sql, { queue: state.queue, ...next });
      published = { ...next, at: now };
    },
    size: () => size,
  };
}
