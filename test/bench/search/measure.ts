import type { BenchProcess } from '../bench-process.ts';
import { measureInTurn, type Measured } from '../runs/in-turn.ts';
import type { BenchStores } from '../stores.ts';
import { readUsage, serverCpuMs } from '../usage.ts';
import { askFor } from './ask.ts';
import type { Asked } from './asker.ts';
import { collection } from './corpus.ts';
import type { SearchPlan } from './options.ts';
import type { Questions } from './questions.ts';

export type Contestant = {
  name: string;
  questions: () => Questions;
  /** Who answers, beside Postgres. */
  process?: BenchProcess | undefined;
  /** A second Postgres that may have a share in it, by its postmaster. */
  standby?: { pid: number };
};

/** With the CPU time of one question: what bounds throughput, and what other work on the machine hardly changes. */
export type Figures = Asked & {
  serverCpuMs: number | null;
  postgresCpuMs: number | null;
  standbyCpuMs: number | null;
};

/** Asks each in turn; whoever asks and what is asked is the same for all but the way. */
export function measureAsked(
  items: Contestant[],
  plan: SearchPlan,
  { stores, signal, log }: { stores: BenchStores; signal: AbortSignal; log: (line: string) => void },
): Promise<Measured<Figures>> {
  const { rounds, concurrency, warmUpMs, windowMs } = plan;
  return measureInTurn<Contestant, Figures>({
    items,
    rounds,
    signal,
    log,
    told: ({ perSecond, p50, p99 }) => `${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
    async measure({ questions, process, standby }) {
      const processes = process === undefined ? [] : [process];
      const standbyMs = () => (standby === undefined ? null : serverCpuMs(standby.pid));
      const [before, standbyBefore] = [await readUsage(stores, processes), standbyMs()];
      const asked = await askFor(questions(), { concurrency, warmUpMs, windowMs }, signal);
      const [after, standbyAfter] = [await readUsage(stores, processes), standbyMs()];
      const each = (from: number | null | undefined, to: number | null | undefined) =>
        typeof from === 'number' && typeof to === 'number' ? (to - from) / asked.answered : null;
      const of = (name: string) => each(before.cpuMs[name], after.cpuMs[name]);
      return {
        ...asked,
        serverCpuMs: of(process?.name ?? ''),
        postgresCpuMs: of('postgres'),
        standbyCpuMs: each(standbyBefore, standbyAfter),
      };
    },
  });
}

export type Route = { url: string; path: string; headers: Record<string, string> };

let stamp = 100;

/** Searches by embedding of which none was asked before: the threshold, below every similarity, differs each time. */
export function uncachedRoute(route: Route, queries: readonly Float32Array[], connections: number): Questions {
  stamp += 1;
  const bodies = queries.map(
    (query) => `{"collection":"${collection}","limit":10,"threshold":-0.9${stamp}{n}1,"embedding":[${query.join()}]}`,
  );
  return { kind: 'http', ...route, bodies, connections };
}

/** Searches by text, the same few again and again. */
export function cachedBodies(texts: readonly string[]): string[] {
  return texts.map((query) => JSON.stringify({ query, collection, threshold: 0.25, limit: 10 }));
}
