/** How often, in seconds, costs are put right at most: each change is an update of a pod, which the whole cluster hears. */
export const markEverySeconds = 10;

/**
 * What it costs to delete a worker that has so many runs in hand, for `controller.kubernetes.io/pod-deletion-cost`: a
 * ReplicaSet deletes the cheapest first. Idle is 0, as is a pod without the annotation. Else it is the power of two
 * below, so that one run more or less mostly changes nothing.
 */
export function deletionCost(runs: number): number {
  return runs < 1 ? 0 : 2 ** (31 - Math.clz32(runs));
}
