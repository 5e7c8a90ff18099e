import { setTimeout as wait } from 'node:timers/promises';
import type { Level, Logger } from 'pino';

export type LevelName = Level | 'silent';
/** What an administrator asked for; null where it holds until it is taken back. */
export type WantedLevel = { level: LevelName; remainingMs: number | null };

type Options = {
  log: Logger;
  /** What holds when nobody asked for another. */
  normal: LevelName;
  /** What is asked for now; null: nothing. `remainingMs` is counted by the store, whatever this machine's clock says. */
  read: () => Promise<WantedLevel | null>;
  everyMs?: number;
};

/**
 * Has a log follow the level an administrator sets while everything runs, and go back by itself when its time is up,
 * even when the store that knows it is away by then.
 */
export function followLogLevel({ log, normal, read, everyMs = 1_000 }: Options): { stop(): Promise<void> } {
  const stopped = new AbortController();
  /** By `performance.now()`: a clock that is set does not end it early, or never. */
  let endsAt = Number.POSITIVE_INFINITY;

  function set(level: LevelName): void {
    if (log.level === level) return;
    const before = log.level as LevelName;
    // On record by whichever of the two levels says more.
    const say = () => log.info({ before, level }, 'log level changed');
    if (log.isLevelEnabled('info')) say();
    log.level = level;
    if (log.isLevelEnabled('info') && !isInfo(before)) say();
  }

  async function follow(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        const wanted = await read();
        set(wanted?.level ?? normal);
        endsAt =
          wanted === null || wanted.remainingMs === null
            ? Number.POSITIVE_INFINITY
            : performance.now() + Math.max(0, wanted.remainingMs);
      } catch {
        // The store is away: what was asked for holds until its time is up.
        if (performance.now() >= endsAt) set(normal);
      }
      await wait(everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }

  const following = follow();
  return {
    stop() {
      stopped.abort();
      return following;
    },
  };
}

/** Does a log at this level write lines at `info`? */
function isInfo(level: LevelName): boolean {
  return ['trace', 'debug', 'info'].includes(level);
}
