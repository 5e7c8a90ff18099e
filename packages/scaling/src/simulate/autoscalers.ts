import { desiredWorkers, type ScalingPolicy } from '../desired-workers.ts';
import type { Counted } from './controller.ts';
import { createHpa, defaultBehaviour, replicasForAverageValue, replicasForUtilisation, type Behaviour } from './hpa.ts';
import type { PoolView } from './workers.ts';

/** What an autoscaler is shown at one moment: the pool as it is, and as the controller last counted it. */
export type Sight = PoolView & { counted: Counted };

type Activation = {
  /** Between two looks of KEDA itself. To zero it goes only then. */
  pollSeconds: number;
  cooldownSeconds: number;
  isActive(sight: Sight): boolean;
  /** Told at once from when on; null: only its own looks wake it. */
  pushes: ((sight: Sight) => boolean) | null;
};

export type Autoscaler = {
  name: string;
  /** Replicas it starts with. */
  least: number;
  /** From zero to one and back, beside the HPA. */
  activation: Activation | null;
  /** Somebody tells the ReplicaSet what each pod has in hand: those with the least leave first, not just any. */
  marksPods: boolean;
  /** What its HPA sets, asked every `hpaSyncSeconds` while there are replicas. */
  sync(sight: Sight, now: number): number;
};

/** KEDA's defaults. */
const keda = { pollingInterval: 30, cooldownPeriod: 300 };

/**
 * Of the manifests in `deploy/keda`: up at once, because the number is computed and no noisy reading; down by a fifth a minute, since what
 * a leaving pod hands back loses no step.
 */
export const ourBehaviour: Behaviour = {
  scaleUp: { pods: 20, percent: 900, periodSeconds: 15 },
  scaleDown: { pods: 4, percent: 20, periodSeconds: 60, stabilisationSeconds: 120 },
};

/**
 * The controller's decision, handed to KEDA as a metric with target 1, and pushed when the first run comes. By default
 * with the behaviour and the cool-down of the manifests.
 */
export function byDesiredWorkers(
  policy: ScalingPolicy,
  { behaviour = ourBehaviour, cooldownSeconds = keda.cooldownPeriod } = {},
): Autoscaler {
  const hpa = createHpa(behaviour, { min: Math.max(1, policy.min), max: policy.max });
  const decided = ({ counted }: Sight) => desiredWorkers({ ...counted, paused: false }, policy).workers;
  return {
    name: 'desired workers, pushed',
    least: policy.min,
    marksPods: true,
    activation: {
      pollSeconds: keda.pollingInterval,
      cooldownSeconds,
      isActive: (sight) => decided(sight) > 0,
      // Redis is asked for jobs ten times a second, between two decisions.
      pushes: (sight) => sight.active + sight.waiting > 0 || decided(sight) > 0,
    },
    sync: (sight, now) => hpa.decide(replicasForAverageValue(decided(sight), 1, sight.replicas), sight.replicas, now),
  };
}

/** A plain HPA on CPU utilisation. `cpuAtFull`: share of its CPU request that a worker uses with all places taken. */
export function byCpu(policy: ScalingPolicy, { target, cpuAtFull }: { target: number; cpuAtFull: number }): Autoscaler {
  const least = Math.max(1, policy.min);
  const hpa = createHpa(defaultBehaviour, { min: least, max: policy.max });
  return {
    name: `CPU ${Math.round(target * 100)} %`,
    least,
    marksPods: false,
    activation: null,
    sync(sight, now) {
      const sum = (sight.busyPlaces / policy.concurrency) * cpuAtFull;
      const recommended = replicasForUtilisation({ ready: sight.ready, sum }, target, sight.replicas);
      return hpa.decide(recommended, sight.replicas, now);
    },
  };
}

/** KEDA's redis trigger on the length of the wait list: it does not see what is active. */
export function byWaitLength(policy: ScalingPolicy): Autoscaler {
  const hpa = createHpa(defaultBehaviour, { min: Math.max(1, policy.min), max: policy.max });
  return {
    name: 'LLEN of wait',
    least: policy.min,
    marksPods: false,
    activation: {
      pollSeconds: keda.pollingInterval,
      cooldownSeconds: keda.cooldownPeriod,
      isActive: ({ waiting }) => waiting > 0,
      pushes: null,
    },
    sync: (sight, now) =>
      hpa.decide(replicasForAverageValue(sight.waiting, policy.concurrency, sight.replicas), sight.replicas, now),
  };
}
