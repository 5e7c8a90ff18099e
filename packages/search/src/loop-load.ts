import { performance } from 'node:perf_hooks';

/** Share of its time for which this process had something to do, from which on it counts as busy. */
const busyFrom = 0.7;
const windowMs = 1_000;

/** Says whether this process was busy, judged anew each second and no sooner. */
export function createLoopLoad(): () => boolean {
  let since = performance.eventLoopUtilization();
  let judgedAt = performance.now();
  let busy = false;
  return () => {
    if (performance.now() - judgedAt >= windowMs) {
      const now = performance.eventLoopUtilization();
      busy = performance.eventLoopUtilization(now, since).utilization >= busyFrom;
      since = now;
      judgedAt = performance.now();
    }
    return busy;
  };
}
