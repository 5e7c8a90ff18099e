import { setTimeout as wait } from 'node:timers/promises';
import type { Surroundings } from '../bench.ts';
import { createCleanup } from '../cleanup.ts';
import { startContainer, type Contained } from '../container.ts';
import { startProduct, type RunningProduct } from '../contenders/product.ts';
import type { BenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';
import { embedAndSearch, heapOf } from './limits-level.ts';
import { buildImages } from './limits-part.ts';

/** The chart's default for a worker. */
const limitMb = 1024;
const neighbours = 15;
const lives = 5;

type Life = { end: string; words: string; peakMb: number; anonymousMb: number; seconds: number };

/**
 * One run fills the heap of a worker in a container as the chart has it, while others are under way and documents are
 * embedded; the worker is started anew each time, as Kubernetes does, until that run is parked. What was seen, as text.
 */
export async function fillHeap({
  stores,
  signal,
  log,
}: { stores: BenchStores } & Omit<Surroundings, 'cleanup'>): Promise<string> {
  const reason = await buildImages(['worker']);
  if (reason !== undefined) return `no heap was filled: ${reason}`;
  const cleanup = createCleanup();
  try {
    let contained: Contained | undefined;
    const heapMb = heapOf('worker', limitMb);
    const product = await startProduct({ stores, cleanup, concurrency: 16 }, 'bench-held-place', {
      worker: false,
      async launch(until, { name, env, ready }) {
        if (name !== 'worker') return undefined;
        const own = { ...env, NODE_OPTIONS: `--max-old-space-size=${heapMb}` };
        contained = await startContainer(until, { name, env: own, ready, limits: { memoryMb: limitMb, cpus: null } });
        return contained;
      },
    });
    await product.startWorker(cleanup);
    // So that the offline model is in memory beside the heap.
    const over = new AbortController();
    const reading = await embedAndSearch(product, cleanup, AbortSignal.any([signal, over.signal]));
    const others = await Promise.all(
      Array.from({ length: neighbours }, () => start(product, 'bench-held-place', { ms: 20_000 }, signal)),
    );
    const poison = await start(product, 'bench-hold-memory', { mb: 4 * limitMb }, signal);
    const seen: Life[] = [];
    while ((await stateOf(product, poison)) !== 'parked') {
      if (seen.length === lives)
        throw new Error(`after ${lives} lives of the worker the run is ${await stateOf(product, poison)}`);
      if (seen.length > 0) await product.startWorker(cleanup);
      if (contained === undefined) throw new Error('the worker is in no container');
      seen.push(await watch(contained, signal));
      log(`life ${seen.length}: ${seen.at(-1)?.end}`);
      over.abort();
      await parkedOrWaiting(product, poison, signal);
    }
    await product.startWorker(cleanup);
    await reading.ended;
    const ended = await endsOf(product, others, signal);
    return [
      `a worker of ${limitMb} MiB, heap ${heapMb} MiB, the offline model in use; one run fills the heap, ${neighbours} hold a place for 20 s`,
      '',
      tableOf(
        ['life', 'after, s', 'end', 'RSS at most, MiB', 'anonymous, MiB'],
        seen.map(({ seconds, end, peakMb, anonymousMb }, n) => [
          String(n + 1),
          shown(seconds),
          end,
          shown(peakMb),
          shown(anonymousMb),
        ]),
      ),
      '',
      seen[0]?.words ?? '',
      '',
      `the run: ${await stateOf(product, poison)}; the others: ${ended}`,
    ].join('\n');
  } finally {
    await cleanup.run();
  }
}

async function start(
  { target, ...product }: RunningProduct,
  workflow: string,
  input: object,
  signal: AbortSignal,
): Promise<string> {
  // The catalogue reaches a gateway a moment after the worker has published it.
  for (;;) {
    const response = await fetch(new URL(`/api/workflows/${workflow}/runs`, target.url), {
      method: 'POST',
      headers: { ...target.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ input }),
      signal,
    });
    if (response.status === 202) {
      const { id } = (await response.json()) as { id: string };
      // Somebody holds it: what comes next comes while it is under way.
      while ((await product.database.sql`SELECT 1 FROM run_live WHERE id = ${id} AND owner IS NULL`).length > 0) {
        await wait(20, undefined, { signal });
      }
      return id;
    }
    await response.arrayBuffer();
    await wait(100, undefined, { signal });
  }
}

/** Until it ends: how, after how long, and with how much memory. */
async function watch(contained: Contained, signal: AbortSignal): Promise<Life> {
  const begun = performance.now();
  const most = { peakMb: 0, anonymousMb: 0 };
  for (;;) {
    const memory = contained.memory();
    if (memory !== null && memory.anonymousMb > 0) {
      most.peakMb = Math.max(most.peakMb, memory.peakMb);
      most.anonymousMb = Math.max(most.anonymousMb, memory.anonymousMb);
    }
    const { running, oomKilled, exitCode } = await contained.look();
    if (!running) {
      const words = (await contained.words(60)).split('\n').filter((line) => /FATAL ERROR|Mark-Compact/.test(line));
      const seconds = (performance.now() - begun) / 1000;
      return {
        ...most,
        seconds,
        end: `exit code ${exitCode}${oomKilled ? ', OOM-killed' : ''}`,
        words: words.slice(-2).join('\n'),
      };
    }
    await wait(50, undefined, { signal });
  }
}

async function stateOf({ database }: RunningProduct, id: string): Promise<string> {
  const [row] = await database.sql<
    { state: string; crashes: number }[]
  >`SELECT state, crashes FROM run_live WHERE id = ${id}`;
  return row?.state ?? 'ended';
}

/** The sweeper has taken it from the dead worker. */
async function parkedOrWaiting({ database }: RunningProduct, id: string, signal: AbortSignal): Promise<void> {
  while ((await database.sql`SELECT 1 FROM run_live WHERE id = ${id} AND owner IS NOT NULL`).length > 0) {
    await wait(50, undefined, { signal });
  }
}

/** Waits for all of them; how many there are of each end. */
async function endsOf({ database }: RunningProduct, ids: readonly string[], signal: AbortSignal): Promise<string> {
  for (;;) {
    const rows = await database.sql<{ state: string; attempt: number }[]>`
      SELECT state, attempt FROM run_ends WHERE id = ANY(${[...ids]}::uuid[])`;
    if (rows.length === ids.length) {
      const kinds = Map.groupBy(rows, ({ state, attempt }) => `${state} at attempt ${attempt}`);
      return [...kinds].map(([kind, of]) => `${of.length} ${kind}`).join(', ');
    }
    await wait(200, undefined, { signal });
  }
}
