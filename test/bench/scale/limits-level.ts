import { setTimeout as wait } from 'node:timers/promises';
import { createCleanup, type Cleanup } from '../cleanup.ts';
import { startContainer, type Contained, type ContainerLimits } from '../container.ts';
import { startProduct, type RunningProduct } from '../contenders/product.ts';
import { besideHeapMb, besideHeapWithoutModelMb, type Service } from '../../images/targets.ts';
import { startLoad } from '../load/client.ts';
import { benchQueries, benchTexts } from '../search/texts.ts';
import { settleStores, type BenchStores } from '../stores.ts';
import type { LevelPlan } from './workers-level.ts';

export type LimitsLevel = ContainerLimits & {
  service: Service;
  heapMb: number;
  /** Null: it came through. Else what ended it. */
  end: string | null;
  runsPerSecond: number | null;
  /** Most MiB resident, files it has mapped included, and MiB without those in the end. */
  peakMb: number | null;
  anonymousMb: number | null;
};

type Options = {
  stores: BenchStores;
  plan: LevelPlan;
  /** Documents are embedded and searches answered by the offline model, beside the runs. */
  embeds: boolean;
  signal: AbortSignal;
};

/** The chart's rule; where it would refuse a limit, the least heap it knows. */
export function heapOf(service: Service, memoryMb: number, embeds = true): number {
  return Math.max(64, memoryMb - (embeds ? besideHeapMb : besideHeapWithoutModelMb)[service]);
}

const textsAtOnce = 20;
const questionsAtOnce = 5;

/** One service in a container with limits, the others as they are, while runs flow. */
export async function measureLimits(
  service: Service,
  limits: ContainerLimits,
  { stores, plan, embeds, signal }: Options,
): Promise<LimitsLevel> {
  const heapMb = heapOf(service, limits.memoryMb, embeds);
  const cleanup = createCleanup();
  let contained: Contained | undefined;
  const level = { ...limits, service, heapMb, end: null, runsPerSecond: null, peakMb: null, anonymousMb: null };
  try {
    await settleStores(stores);
    const product = await startProduct({ stores, cleanup, concurrency: plan.concurrency }, 'bench-four-steps', {
      async launch(until, { name, env, ready }) {
        if (name !== service) return undefined;
        const own = { ...env, NODE_OPTIONS: `--max-old-space-size=${heapMb}` };
        contained = await startContainer(until, { name: service, env: own, ready, limits });
        return contained;
      },
    });
    const load = await startLoad({ cleanup, signal }, product.target, plan.inFlight);
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const reading = embeds ? await embedAndSearch(product, cleanup, until) : undefined;
    await load.flood(plan.inFlight);
    await wait(plan.warmUpMs, undefined, { signal });
    const from = await load.count();
    await wait(plan.windowMs, undefined, { signal });
    const to = await load.count();
    over.abort();
    await reading?.ended;
    const memory = contained?.memory() ?? null;
    const ended = await endOf(contained);
    if (ended !== null) return { ...level, end: ended };
    return { ...level, ...memory, runsPerSecond: ((to.ended - from.ended) / (to.at - from.at)) * 1000 };
  } catch (error) {
    if (signal.aborted) throw error;
    return { ...level, end: (await endOf(contained)) ?? (error as Error).message.split('\n')[0] ?? 'failed' };
  } finally {
    await cleanup.run();
  }
}

async function endOf(contained: Contained | undefined): Promise<string | null> {
  if (contained === undefined) return null;
  const { running, oomKilled, exitCode } = await contained.look();
  if (running) return null;
  return oomKilled ? 'OOM-killed' : `exit code ${exitCode}`;
}

/**
 * Documents to embed and questions to answer, for as long as it lasts. Begun once the first are answered, so that both
 * have their model loaded; a service that dies meanwhile is told by others.
 */
export async function embedAndSearch(
  product: RunningProduct,
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<{ ended: Promise<void> }> {
  const [feeder, asker] = await Promise.all([product.as('integration'), product.as('analyst')]);
  const texts = benchTexts(2_000);
  const queries = benchQueries(500);
  async function round(n: number): Promise<number> {
    const from = (n * textsAtOnce) % texts.length;
    const documents = texts.slice(from, from + textsAtOnce).map(({ text }) => ({ collection: 'bench', text }));
    type Stored = { run: { id: string } };
    const stored = await feeder.call<Stored>('POST', '/api/documents', { body: { documents }, signal });
    if (stored.status !== 202) throw new Error(`documents were answered ${stored.status}`);
    await Array.fromAsync(feeder.events(stored.body.run.id, undefined, signal));
    let found = 0;
    for (let nth = 0; nth < questionsAtOnce; nth++) {
      const query = `${queries[(n * questionsAtOnce + nth) % queries.length]} ${n}`;
      const body = { query, collection: 'bench', threshold: 0 };
      const answer = await asker.call<{ items: unknown[] }>('POST', '/api/search/semantic', { body, signal });
      if (answer.status !== 200) throw new Error(`a search was answered ${answer.status}`);
      found += answer.body.items.length;
    }
    return found;
  }
  if ((await round(0)) === 0) throw new Error('searches find nothing: their model was not used');
  const looping = (async () => {
    for (let n = 1; !signal.aborted; n++) await round(n);
  })().catch(() => {});
  cleanup.teardown(() => looping);
  return { ended: looping };
}
