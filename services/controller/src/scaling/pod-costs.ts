import { FlowstateError, queueNames } from '@flowstate/contracts';
import { startAtZero, type Logger } from '@flowstate/runtime';
import { deletionCost, markEverySeconds } from '@flowstate/scaling';
import { readScalingStates, runsByHost, type Sql } from '@flowstate/store';
import { Counter, type Registry } from '@prometheus-io/client';
import { openKubernetesPods, type KubernetesApi } from './kubernetes-pods.ts';

const annotation = 'controller.kubernetes.io/pod-deletion-cost';
/** What a pod may be called as a host; whoever can register a worker can say anything. */
const podName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** Requests under way at a time, and milliseconds after which the rest waits for the next pass. */
const connections = 4;
const passMs = 5_000;

export const markEveryMs = 1_000 * markEverySeconds;
/** Whoever was not asked for so long did not lead, and another has marked pods meanwhile. */
const forgetMs = 3 * markEveryMs;

type Options = {
  sql: Sql;
  api: KubernetesApi;
  registry: Registry;
  log: Logger;
  /** Milliseconds by a clock that does not jump. */
  now?: () => number;
};
type Mark = { pod: string; cost: number };

/**
 * Tells Kubernetes which workers are cheap to delete, so that a ReplicaSet that shrinks takes the idle ones first. The
 * leader's work, done only while there are more workers than should be: an HPA takes none before it has seen that for
 * its stabilisation window. Never throws for what Kubernetes does: without marks, pods leave in Kubernetes' own order.
 */
export function createPodCosts({
  sql,
  api,
  registry,
  log,
  now = () => performance.now(),
}: Options): () => Promise<void> {
  /** What is known to stand on each pod; null: there is no pod of that name. */
  const written = new Map<string, number | null>();
  const marks = new Counter({
    name: 'flowstate_pod_marks_total',
    help: 'Deletion costs sent to Kubernetes by outcome: set, gone (no such pod), refused (not allowed), failed',
    labelNames: ['outcome'],
    registers: [registry],
  });
  startAtZero(
    marks,
    ['set', 'gone', 'refused', 'failed'].map((outcome) => ({ outcome })),
  );
  let away = false;
  let askedAt = -Infinity;

  /** Those that have changed, the furthest from what stands there first; what nobody has marked counts as idle. */
  function changed(runs: ReadonlyMap<string, number>): Mark[] {
    const distance = ({ pod, cost }: Mark) => Math.abs(cost - (written.get(pod) ?? 0));
    return [...runs]
      .map(([pod, held]) => ({ pod, cost: deletionCost(held) }))
      .filter(({ pod, cost }) => podName.test(pod) && written.get(pod) !== null && written.get(pod) !== cost)
      .toSorted((a, b) => distance(b) - distance(a));
  }

  /** Sends them. When several fail the next would, too: it ends then. Throws the first failure. */
  async function send(changes: readonly Mark[]): Promise<void> {
    const pods = await openKubernetesPods(api, connections);
    const until = now() + passMs;
    const rest = changes.values();
    const failures: unknown[] = [];
    async function line(): Promise<void> {
      for (const { pod, cost } of rest) {
        if (failures.length >= connections || now() > until) return;
        try {
          const found = await pods.annotate(pod, { [annotation]: String(cost) });
          marks.inc({ outcome: found ? 'set' : 'gone' });
          written.set(pod, found ? cost : null);
        } catch (error) {
          // It may have been done nevertheless.
          written.delete(pod);
          failures.push(error);
          marks.inc({ outcome: error instanceof FlowstateError && error.code === 'forbidden' ? 'refused' : 'failed' });
        }
      }
    }
    await Promise.all(Array.from({ length: connections }, line));
    await pods.close();
    if (failures.length > 0) throw failures[0];
  }

  return async function mark(): Promise<void> {
    if (now() - askedAt > forgetMs) written.clear();
    askedAt = now();
    if (!(await isShrinking(sql))) return;
    const runs = await runsByHost(sql);
    for (const pod of written.keys()) if (!runs.has(pod)) written.delete(pod);
    const changes = changed(runs);
    if (changes.length === 0) return;
    try {
      await send(changes);
      away = false;
    } catch (err) {
      if (!away) log.warn({ err }, 'pods cannot be marked: Kubernetes may delete busy workers before idle ones');
      away = true;
    }
  };
}

/** Will workers leave? Of one worker none leaves before another, and what nobody knows scales nothing. */
async function isShrinking(sql: Sql): Promise<boolean> {
  const stored = await readScalingStates(sql);
  const states = queueNames.flatMap((queue) => {
    const { state, fresh } = stored.get(queue) ?? {};
    return state !== undefined && fresh === true ? [state] : [];
  });
  if (states.length < queueNames.length) return false;
  const live = Math.max(...states.map(({ liveWorkers }) => liveWorkers));
  return live > 1 && states.every(({ desired }) => desired < live);
}
