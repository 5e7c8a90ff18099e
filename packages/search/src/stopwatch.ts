import type { SearchTimings } from '@flowstate/contracts';

export type Part = 'embed' | 'cache' | 'sql';
export type Stopwatch = {
  time<T>(part: Part, work: () => Promise<T>): Promise<T>;
  timings(): SearchTimings | undefined;
};

/** For whom nobody wants to know. */
export const unwatched: Stopwatch = { time: (_part, work) => work(), timings: () => undefined };

/** Measures the parts of one search. A part within another counts for the inner one alone. */
export function createStopwatch(): Stopwatch {
  const begun = performance.now();
  const spent: Partial<Record<Part, number>> = {};
  let total = 0;

  return {
    async time<T>(part: Part, work: () => Promise<T>): Promise<T> {
      const from = performance.now();
      const before = total;
      try {
        return await work();
      } finally {
        const own = Math.max(0, performance.now() - from - (total - before));
        spent[part] = (spent[part] ?? 0) + own;
        total += own;
      }
    },
    timings() {
      const { embed, cache, sql } = spent;
      return {
        totalMs: rounded(performance.now() - begun),
        embedMs: shown(embed),
        cacheMs: shown(cache),
        sqlMs: shown(sql),
      };
    },
  };
}

function shown(ms: number | undefined): number | null {
  return ms === undefined ? null : rounded(ms);
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
