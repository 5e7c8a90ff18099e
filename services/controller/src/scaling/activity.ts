import { setTimeout as wait } from 'node:timers/promises';
import type { QueueName, ScalingState } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import type { ScalingAnswers } from './answers.ts';

/** Redis is asked so often whether a first job has come: 0.13 ms a call. */
const lookEveryMs = 100;
const decidedEveryMs = 1_000;

export type Activity = {
  /** Calls `onActive` when the queue has work, now or from now on each time it gets some; returns what ends that. */
  watch(queue: QueueName, onActive: () => void): () => void;
  stop(): Promise<void>;
};

type Options = { answers: Pick<ScalingAnswers, 'known'>; queues: Pick<RunQueues, 'counts'>; log: Logger };

type Watched = { watchers: Set<() => void>; active: boolean; stopped: AbortController };

/**
 * Tells of first jobs sooner than the next decision would. One look serves all who watch a queue, and nobody looks
 * while nobody watches. What was decided last says whether a job in Redis is work at all: a paused queue has none, and
 * one that somebody has set to no worker gets none.
 */
export function createActivity({ answers, queues, log }: Options): Activity {
  const watched = new Map<QueueName, Watched>();
  const looking = new Set<Promise<void>>();

  async function look(queue: QueueName, own: Watched): Promise<void> {
    const { signal } = own.stopped;
    let decided: ScalingState | undefined;
    let askedAt = -Infinity;
    let away = false;
    while (!signal.aborted) {
      try {
        if (performance.now() - askedAt >= decidedEveryMs) {
          askedAt = performance.now();
          decided = undefined;
          decided = (await answers.known()).get(queue);
        }
        const active = decided !== undefined && (decided.desired > 0 || (mayBegin(decided) && (await hasJobs(queue))));
        const woken = active && !own.active;
        own.active = active;
        if (woken) for (const tell of own.watchers) tell();
        away = false;
      } catch (err) {
        if (!away) log.warn({ err, queue }, 'nobody can say whether there is work, looking on');
        away = true;
      }
      await wait(own.active || away ? decidedEveryMs : lookEveryMs, undefined, { signal }).catch(() => {});
    }
  }

  async function hasJobs(queue: QueueName): Promise<boolean> {
    const { active, waiting, prioritized } = await queues.counts(queue);
    return active + waiting + prioritized > 0;
  }

  function begin(queue: QueueName): Watched {
    const own: Watched = { watchers: new Set(), active: false, stopped: new AbortController() };
    watched.set(queue, own);
    const looks = look(queue, own).finally(() => looking.delete(looks));
    looking.add(looks);
    return own;
  }

  return {
    watch(queue, onActive) {
      const own = watched.get(queue) ?? begin(queue);
      own.watchers.add(onActive);
      if (own.active) onActive();
      return () => {
        own.watchers.delete(onActive);
        if (own.watchers.size > 0) return;
        own.stopped.abort();
        if (watched.get(queue) === own) watched.delete(queue);
      };
    },
    async stop() {
      for (const { stopped } of watched.values()) stopped.abort();
      watched.clear();
      await Promise.all(looking);
    },
  };
}

function mayBegin({ paused, override, policy }: ScalingState): boolean {
  return !paused && (override?.max ?? policy.max) > 0;
}
