/** `behavior` of a HorizontalPodAutoscaler: what one period may add or take. */
export type Behaviour = {
  scaleUp: { pods: number; percent: number; periodSeconds: number };
  scaleDown: { pods: number; percent: number; periodSeconds: number; stabilisationSeconds: number };
};

/** What Kubernetes does when `behavior` is left out. */
export const defaultBehaviour: Behaviour = {
  scaleUp: { pods: 4, percent: 100, periodSeconds: 15 },
  scaleDown: { pods: 0, percent: 100, periodSeconds: 15, stabilisationSeconds: 300 },
};

/** How often the controller manager looks, in seconds. */
export const hpaSyncSeconds = 15;
/** Within it of the target nothing changes. */
const tolerance = 0.1;

/** An external metric with an AverageValue target, as GetExternalPerPodMetricReplicas computes it. */
export function replicasForAverageValue(metric: number, target: number, replicas: number): number {
  const ratio = metric / (target * replicas);
  return Math.abs(ratio - 1) <= tolerance ? replicas : Math.ceil(metric / target);
}

/** A utilisation target. Pods that are not ready count as idle when it would grow, and not at all when it would shrink. */
export function replicasForUtilisation(
  busyShares: { ready: number; sum: number },
  target: number,
  replicas: number,
): number {
  const { ready, sum } = busyShares;
  if (ready === 0) return replicas;
  const ratio = sum / ready / target;
  const unready = replicas - ready;
  if (unready === 0 || ratio <= 1) {
    return Math.abs(ratio - 1) <= tolerance ? replicas : Math.ceil(ratio * ready);
  }
  const cautious = sum / replicas / target;
  return cautious <= 1 + tolerance ? replicas : Math.max(replicas, Math.ceil(cautious * replicas));
}

/** The replica count over time: stabilised downwards, changed at most by `behavior`, within the bounds. */
export function createHpa(behaviour: Behaviour, bounds: { min: number; max: number }) {
  const recommendations: { at: number; replicas: number }[] = [];
  const changes: { at: number; by: number }[] = [];

  const changedSince = (from: number, sign: 1 | -1) =>
    changes.reduce((sum, { at, by }) => (at > from && Math.sign(by) === sign ? sum + Math.abs(by) : sum), 0);

  return {
    /** What it sets at `now`, for a recommendation. */
    decide(recommended: number, replicas: number, now: number): number {
      const { scaleUp, scaleDown } = behaviour;
      const wanted = Math.min(Math.max(recommended, bounds.min), bounds.max);
      recommendations.push({ at: now, replicas: wanted });
      // One that is as old as that is no more asked; without stabilisation only this one is.
      while ((recommendations[0]?.at ?? now) <= now - scaleDown.stabilisationSeconds && recommendations.length > 1) {
        recommendations.shift();
      }
      let next = wanted < replicas ? Math.min(replicas, Math.max(...recommendations.map((r) => r.replicas))) : wanted;
      if (next > replicas) {
        const before = replicas - changedSince(now - scaleUp.periodSeconds, 1);
        const most = Math.max(before + scaleUp.pods, Math.ceil(before * (1 + scaleUp.percent / 100)));
        next = Math.min(next, Math.max(replicas, most));
      } else if (next < replicas) {
        const before = replicas + changedSince(now - scaleDown.periodSeconds, -1);
        const least = Math.min(before - scaleDown.pods, Math.floor(before * (1 - scaleDown.percent / 100)));
        next = Math.max(next, Math.min(replicas, least));
      }
      if (next !== replicas) changes.push({ at: now, by: next - replicas });
      return next;
    },
  };
}
