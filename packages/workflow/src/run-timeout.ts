import { FlowstateError } from '@flowstate/contracts';

const maxTimerMs = 2 ** 31 - 1;

type Options = {
  startedAt: Date;
  timeoutMs: number | undefined;
  /** Postgres time in milliseconds. */
  now: () => number;
  fail: (error: Error) => void;
};

/** Fails a run whose time is up, counted from its start and not from when this worker got it. */
export function runTimeout({ startedAt, timeoutMs, now, fail }: Options) {
  if (timeoutMs === undefined) return { deadline: null, error: undefined, clear: () => {} };
  const deadline = startedAt.getTime() + timeoutMs;
  const error = new FlowstateError('timeout', `The run took longer than ${timeoutMs} ms`);
  let timer: NodeJS.Timeout;
  function arm(): void {
    const left = deadline - now();
    timer = setTimeout(() => (left > maxTimerMs ? arm() : fail(error)), Math.min(Math.max(left, 0), maxTimerMs));
  }
  arm();
  return { deadline, error, clear: () => clearTimeout(timer) };
}
