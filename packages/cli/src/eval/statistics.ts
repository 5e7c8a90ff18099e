import { seeded } from '@flowstate/scaling';

/** Lower and upper bound. */
export type Interval = [number, number];

/** Quantile 0.975 of the standard normal distribution. */
const z = 1.959964;

/**
 * 95 % interval of a share of which `passed` of `of` were seen: Wilson, "Probable Inference, the Law of Succession, and
 * Statistical Inference" (1927), which holds for few cases and near 0 and 1, too.
 */
export function wilson(passed: number, of: number): Interval {
  if (of === 0) return [0, 1];
  const p = passed / of;
  const middle = (p + z ** 2 / (2 * of)) / (1 + z ** 2 / of);
  const half = (z / (1 + z ** 2 / of)) * Math.sqrt((p * (1 - p)) / of + z ** 2 / (4 * of ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

const resamples = 10_000;

/**
 * 95 % interval of the mean of paired differences, by resampling the pairs (percentile bootstrap; Efron and Tibshirani,
 * "An Introduction to the Bootstrap", 1993). The same differences give the same interval: its random numbers have a
 * fixed seed. Of fewer than ten pairs it is too narrow.
 */
export function pairedBootstrap(differences: readonly number[]): Interval {
  const n = differences.length;
  if (n === 0) return [0, 0];
  const random = seeded(n);
  const means = Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[Math.floor(random() * n)] ?? 0;
    return sum / n;
  }).sort((a, b) => a - b);
  const at = (p: number) => means[Math.floor(p * (resamples - 1))] ?? 0;
  return [at(0.025), at(0.975)];
}
