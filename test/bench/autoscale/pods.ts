import { createCleanup, type Cleanup } from '../cleanup.ts';
import type { RunningProduct } from '../contenders/product.ts';

export type Pods = {
  /** Asked for and not told to leave. */
  replicas(): number;
  /** Starts or ends processes until there are so many; returns at once, as a Deployment does. */
  scaleTo(wanted: number): void;
  /** Seconds each took from being asked for, in that order, to serving; and from SIGTERM to its end. */
  startUps: number[];
  drains: number[];
  /** Seconds of all of them together so far. */
  podSeconds(): number;
  /** Resolves when those that were told to leave are gone. */
  settled(): Promise<void>;
};

type Pod = { own: Cleanup; up: Promise<unknown>; since: number };

/** Worker processes stand for pods. Which one leaves is as blind as a ReplicaSet is: one that still starts, else any. */
export function createPods(
  product: RunningProduct,
  { cleanup, random, onFailure }: { cleanup: Cleanup; random: () => number; onFailure: (error: Error) => void },
): Pods {
  const pods: Pod[] = [];
  const [startUps, drains]: [number[], number[]] = [[], []];
  const leaving = new Set<Promise<void>>();
  let spent = 0;
  const seconds = (since: number) => (performance.now() - since) / 1000;

  function start(): void {
    const own = createCleanup();
    const since = performance.now();
    const nth = startUps.push(Number.NaN) - 1;
    const up = product.startWorker(own).then(() => (startUps[nth] = seconds(since)));
    up.catch((error: Error) => onFailure(error));
    pods.push({ own, up, since });
  }

  function end(): void {
    const [pod] = pods.splice(Math.floor(random() * pods.length), 1);
    if (pod === undefined) return;
    const left = (async () => {
      await pod.up.catch(() => {}); // told already
      const told = performance.now();
      await pod.own.run();
      drains.push(seconds(told));
      spent += seconds(pod.since);
    })().finally(() => leaving.delete(left));
    leaving.add(left);
  }

  const settled = async () => void (await Promise.all(leaving));
  cleanup.teardown(async () => {
    while (pods.length > 0) end();
    await settled();
  });
  return {
    replicas: () => pods.length,
    scaleTo(wanted) {
      while (pods.length < wanted) start();
      while (pods.length > wanted) end();
    },
    startUps,
    drains,
    podSeconds: () => pods.reduce((sum, { since }) => sum + seconds(since), spent),
    settled,
  };
}
