/** Answers looked back on: some seconds, so that a clock of Postgres that was set back is followed soon. */
const remembered = 16;

/** Postgres' time, as this process knows it between two heartbeats. */
export type LedgerClock = {
  /** Postgres answered that it is `at` (milliseconds). */
  heard(at: number): void;
  /** Milliseconds. */
  now(): number;
};

/**
 * An answer is old by the time it is read, by much when this process is busy: each tells only that it is at least so
 * late. The one that came fastest of the last few is nearest, and the only one that counts; a timer set by a clock that
 * lags would go off early.
 */
export function createLedgerClock(elapsed: () => number = () => performance.now()): LedgerClock {
  const ahead: number[] = [];
  return {
    heard(at) {
      ahead.push(at - elapsed());
      if (ahead.length > remembered) ahead.shift();
    },
    now: () => elapsed() + Math.max(...ahead),
  };
}
