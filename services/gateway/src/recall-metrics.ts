import { startAtZero } from '@flowstate/runtime';
import type { RecallObserver } from '@flowstate/search';
import { Counter, Gauge, type Registry } from '@prometheus-io/client';

/** Upper bounds of the label `k`: any number of documents may be asked for. */
const ks = [1, 5, 10, 20, 50, 100];
const maxCollections = 50;
/** A mean of more would notice a drop too late. */
const maxSamples = 50;
const maxAgeMs = 3_600_000;

type Series = { labels: { collection: string; k: string }; samples: { at: number; recall: number }[] };

/** Exports the mean recall of the last samples, at most 50 and an hour old. */
export function recallObserver(registry: Registry, now: () => number = Date.now): RecallObserver {
  const registers = [registry];
  const series = new Map<string, Series>();
  const collections = new Set<string>();

  /** Names of collections are data: only so many become labels. */
  function labelOf(collection: string): string {
    if (!collections.has(collection) && collections.size >= maxCollections) return 'other';
    collections.add(collection);
    return collection;
  }

  new Gauge({
    name: 'vector_search_recall',
    help: 'Mean recall of the index against an exact scan, of the last hour (50 searches at most), by collection (* for several at once) and upper bound of the documents asked for',
    labelNames: ['collection', 'k'],
    registers,
    collect() {
      this.reset();
      for (const { labels, samples } of series.values()) {
        const recent = samples.filter(({ at }) => at > now() - maxAgeMs);
        if (recent.length === 0) continue;
        this.set(labels, recent.reduce((sum, { recall }) => sum + recall, 0) / recent.length);
      }
    },
  });
  const sampled = new Counter({
    name: 'vector_search_recall_samples_total',
    help: 'Searches sampled for an exact scan by result: compared, changed, empty, skipped, failed',
    labelNames: ['result'],
    registers,
  });
  startAtZero(
    sampled,
    ['compared', 'changed', 'empty', 'skipped', 'failed'].map((result) => ({ result })),
  );

  return {
    sampled: (labels) => sampled.inc(labels),
    measured({ collection, k, recall }) {
      const labels = { collection: labelOf(collection), k: String(ks.find((bound) => k <= bound) ?? ks.at(-1)) };
      const key = JSON.stringify(labels);
      const { samples } = series.get(key) ?? { samples: [] };
      series.set(key, { labels, samples: [...samples, { at: now(), recall }].slice(-maxSamples) });
    },
  };
}
