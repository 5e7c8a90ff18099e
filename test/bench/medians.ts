/** Figures of one round, nested as one likes. */
export type Figures = { [name: string]: number | null | Figures };

/** The median of each figure over all rounds; null where no round has it. */
export function mediansOf<T extends Figures>(rounds: readonly T[]): T {
  const names = new Set(rounds.flatMap((round) => Object.keys(round)));
  return Object.fromEntries(
    [...names].map((name) => {
      const values = rounds.map((round) => round[name]).filter((value) => value !== undefined && value !== null);
      const nested = values.filter((value) => typeof value === 'object');
      return [name, nested.length > 0 ? mediansOf(nested) : medianOf(values as number[])];
    }),
  ) as T;
}

export function medianOf(values: readonly number[]): number | null {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
