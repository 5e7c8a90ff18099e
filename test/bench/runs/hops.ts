import { setTimeout as wait } from 'node:timers/promises';
import { latencyOf } from '../load/latency.ts';
import type { Latency } from '../load/messages.ts';
import type { BenchStores } from '../stores.ts';

/** In ms: at the pace of the paced runs, so that everything sleeps in between, and one right after the other. */
export type Hop = { paced: Latency; atOnce: Latency };
export type Hops = Record<string, Hop>;

type Options = { stores: BenchStores; perSecond: number; each: number; signal: AbortSignal };

/** What a run's way is made of, each alone: nothing that is done in such hops can be faster than their sum. */
export async function measureHops({ stores: { admin, redis }, perSecond, each, signal }: Options): Promise<Hops> {
  await admin`CREATE TABLE bench_hops (at timestamptz)`;
  const hops: Record<string, () => Promise<unknown>> = {
    'Redis, PING': () => redis.ping(),
    'Postgres, SELECT 1': () => admin`SELECT 1`,
    'Postgres, a row and its flush to disk': () => admin`INSERT INTO bench_hops VALUES (now())`,
  };
  const measure = async (hop: () => Promise<unknown>, pauseMs: number): Promise<Latency> => {
    const taken: number[] = [];
    for (let index = 0; index < each; index++) {
      if (pauseMs > 0) await wait(pauseMs, undefined, { signal });
      const begun = performance.now();
      await hop();
      taken.push(performance.now() - begun);
    }
    return latencyOf(taken);
  };
  try {
    const figures: Hops = {};
    for (const [name, hop] of Object.entries(hops)) {
      figures[name] = { atOnce: await measure(hop, 0), paced: await measure(hop, 1000 / perSecond) };
    }
    return figures;
  } finally {
    await admin`DROP TABLE bench_hops`;
  }
}
