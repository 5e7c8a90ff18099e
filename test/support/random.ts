/** Numbers that a seed decides. */
export type Random = {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  /** A stream of its own: what is drawn from it does not move what others draw. */
  fork(name: string): Random;
};

/** mulberry32 (Tommy Ettinger, public domain): 32 bits of state, enough for schedules. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick: (items) => items[between(0, items.length - 1)] as never,
    shuffled(items) {
      const result = [...items];
      for (let last = result.length - 1; last > 0; last--) {
        const other = between(0, last);
        [result[last], result[other]] = [result[other] as never, result[last] as never];
      }
      return result;
    },
    fork(name) {
      let mixed = seed;
      for (const letter of name) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193);
      return createRandom(mixed);
    },
  };
}

export function randomSeed(): number {
  return 1 + Math.floor(Math.random() * (2 ** 31 - 1));
}
