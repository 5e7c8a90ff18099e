import type { SearchHit } from '@flowstate/contracts';
import { isOutdatedScope, matchExactly, type Collection, type Match, type Sql } from '@flowstate/store';

export type RecallSample = {
  /** The collection that was searched, `*` for several at once. */
  collection: string;
  /** Documents asked for. */
  k: number;
  /** Share of the nearest k, within the threshold, that the index found. */
  recall: number;
};

/**
 * What became of a sampled query: `changed` when something was written in between, `empty` when no document is near
 * enough, `skipped` when there was too much else to do.
 */
export type SampleResult = 'compared' | 'changed' | 'empty' | 'skipped' | 'failed';

export type RecallObserver = {
  sampled(labels: { result: SampleResult }): void;
  measured(sample: RecallSample): void;
};

type Options = {
  /** A pool of its own: no request waits for a connection that a scan holds. */
  sql: Sql;
  /** Share of the queries to compare, 0 to 1. */
  fraction: number;
  observe: RecallObserver;
  /** Is there too much else to do? */
  busy(): boolean;
  /** Share of one connection's time that scans may take (default 0.02). */
  effort?: number;
};

export type RecallSampler = ReturnType<typeof createRecallSampler>;

/**
 * Compares what the index answered with an exact scan, for a sample of the queries, after they were answered and one at
 * a time. A sample that comes at the wrong moment is dropped, never queued.
 */
export function createRecallSampler({ sql, fraction, observe, busy, effort = 0.02 }: Options) {
  let running: Promise<void> | undefined;
  let restUntil = 0;

  async function compare(match: Match, collections: readonly Collection[], found: readonly SearchHit[]): Promise<void> {
    const begun = performance.now();
    try {
      const { hits, versions } = await matchExactly(sql, match);
      if (collections.some(({ name, version }) => versions.get(name) !== version)) {
        return observe.sampled({ result: 'changed' });
      }
      if (hits.length === 0) return observe.sampled({ result: 'empty' });
      const [only, ...others] = collections;
      const collection = only === undefined || others.length > 0 ? '*' : only.name;
      observe.measured({ collection, k: match.limit, recall: recallOf(found, hits) });
      observe.sampled({ result: 'compared' });
    } catch (error) {
      observe.sampled({ result: isOutdatedScope(error) ? 'changed' : 'failed' });
    } finally {
      const ended = performance.now();
      restUntil = ended + (ended - begun) * (1 / effort - 1);
      running = undefined;
    }
  }

  return {
    /** A query and what the index answered, at these versions of the collections. Returns at once and never throws. */
    offer(match: Match, collections: readonly Collection[], found: readonly SearchHit[]): void {
      if (Math.random() >= fraction) return;
      if (running !== undefined || performance.now() < restUntil || busy()) {
        return observe.sampled({ result: 'skipped' });
      }
      running = compare(match, collections, found);
    },
    /** Resolves when no scan is under way. */
    async settled(): Promise<void> {
      await running;
    },
  };
}

/** A document as near as the last of the exact answer is as good as that one: equal distances have no order. */
function recallOf(found: readonly SearchHit[], exact: readonly SearchHit[]): number {
  const ids = new Set(exact.map(({ id }) => id));
  const last = exact.at(-1)?.similarity ?? 1;
  const right = found.filter(({ id, similarity }) => ids.has(id) || similarity >= last).length;
  return Math.min(1, right / exact.length);
}
