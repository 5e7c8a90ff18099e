import { measureInTurn, type Measured } from '../runs/in-turn.ts';
import { askFor } from './ask.ts';
import type { Asked } from './asker.ts';
import { collection } from './corpus.ts';
import type { SearchPlan } from './options.ts';
import type { Questions } from './questions.ts';

export type Contestant = { name: string; questions: (round: number) => Questions };

/** Asks each in turn; whoever asks and what is asked is the same for all but the way. */
export function measureAsked(
  items: Contestant[],
  plan: SearchPlan,
  { signal, log }: { signal: AbortSignal; log: (line: string) => void },
): Promise<Measured<Asked>> {
  const { rounds, concurrency, warmUpMs, windowMs } = plan;
  const turns = new Map<string, number>();
  return measureInTurn<Contestant, Asked>({
    items,
    rounds,
    signal,
    log,
    told: ({ perSecond, p50, p99 }) => `${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
    measure({ name, questions }) {
      const turn = turns.get(name) ?? 0;
      turns.set(name, turn + 1);
      return askFor(questions(turn), { concurrency, warmUpMs, windowMs }, signal);
    },
  });
}

type Route = { url: string; headers: Record<string, string> };

let stamp = 100;

/** Searches by embedding of which none was asked before: the threshold, below every similarity, differs each time. */
export function uncachedRoute(
  { url, headers }: Route,
  queries: readonly Float32Array[],
  connections: number,
): Questions {
  stamp += 1;
  const bodies = queries.map(
    (query) => `{"collection":"${collection}","limit":10,"threshold":-0.9${stamp}{n}1,"embedding":[${query.join()}]}`,
  );
  return { kind: 'http', url, path: '/api/search/semantic', headers, bodies, connections };
}

/** Searches by text, the same few again and again. */
export function cachedBodies(texts: readonly string[]): string[] {
  return texts.map((query) => JSON.stringify({ query, collection, threshold: 0.25, limit: 10 }));
}
