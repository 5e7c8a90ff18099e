import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import type { Leader } from './leader.ts';

/** After a failure, of Postgres say, everybody gets this long to show that they live. */
const amnestyMs = 2_000;

export type Loop = { stop(): Promise<void> };

type Options = {
  name: string;
  everyMs: number;
  /** Of the time, at most this much is spent on it: what takes longer comes less often, down to a quarter. */
  share?: number;
  leader: Pick<Leader, 'leads'>;
  log: Logger;
  /** Answers true when there is more to do right away. */
  work: () => Promise<boolean | void>;
};

/** Does something again and again while this controller leads; a failure is logged once and tried on. */
export function startLoop({ name, everyMs, share = 1, leader, log, work }: Options): Loop {
  const stopped = new AbortController();

  async function loop(): Promise<void> {
    let away = false;
    while (!stopped.signal.aborted) {
      let more = false;
      const begun = performance.now();
      try {
        if (leader.leads()) more = (await work()) === true;
        away = false;
      } catch (err) {
        if (!away) log.warn({ err }, `${name} failed, trying on`);
        away = true;
      }
      const restMs = Math.min(4 * everyMs, Math.max(everyMs, (performance.now() - begun) * (1 / share - 1)));
      if (!more) await wait(away ? amnestyMs : restMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const looping = loop();
  return {
    stop() {
      stopped.abort();
      return looping;
    },
  };
}
