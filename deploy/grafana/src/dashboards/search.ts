import { flowstateDashboard } from '../flowstate-dashboard.ts';
import { graph } from '../panels.ts';

/** Vector search: its speed, its cache and its quality. */
export const search = flowstateDashboard('search', 'search')
  .withPanel(
    graph('Time of a search, 95 %', {
      says: 'By kind, and whether the cache answered',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.95, sum by (kind, cache, le) (rate(vector_search_duration_seconds_bucket[$__rate_interval])))',
          '{{kind}} {{cache}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('match_documents in Postgres, 95 %', {
      says: 'Up with the hit rate steady: lower limits or raise thresholds, see the plan',
      unit: 's',
      queries: [['flowstate:match_documents_seconds:p95_5m', '95 %']],
    }),
  )
  .withPanel(
    graph('Answered from the cache', {
      says: 'Share of searches within 30 minutes',
      unit: 'percentunit',
      queries: [['flowstate:vector_cache_hits:ratio_rate30m', 'hits']],
    }),
  )
  .withPanel(
    graph('Look-ups of the cache', {
      says: 'stale: given and computed anew behind it; waited: another gateway computed it; unavailable: Redis is away',
      unit: 'reqps',
      queries: [['sum by (result) (rate(vector_cache_requests_total[$__rate_interval]))', '{{result}}']],
    }),
  )
  .withPanel(
    graph('Age of answers from the cache', {
      says: 'Near the time to live: SEARCH_CACHE_TTL_SECONDS may be raised',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.5, sum by (le) (rate(vector_cache_hit_age_seconds_bucket[$__rate_interval])))',
          'median',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Evicted answers', {
      says: 'Often: more memory for the cache, in Redis or here (SEARCH_CACHE_LOCAL_BYTES)',
      unit: 'short',
      queries: [
        ['max(increase(redis_evicted_keys_total{exported_instance="cache"}[$__rate_interval]))', 'Redis'],
        ['sum(increase(vector_cache_local_evictions_total[$__rate_interval]))', 'gateways'],
      ],
    }),
  )
  .withPanel(
    graph('Memory of the cache', {
      says: 'In use, and how much there may be',
      unit: 'bytes',
      queries: [
        ['max(redis_memory_used_bytes{exported_instance="cache"})', 'Redis'],
        ['max(redis_memory_max_bytes{exported_instance="cache"})', 'Redis at most'],
        ['sum by (instance) (vector_cache_local_bytes)', '{{instance}}'],
      ],
    }),
  )
  .withPanel(
    graph('Recall', {
      says: 'Share of the nearest documents that the index finds, of live queries sampled. Below 0.95: the data and ML team',
      unit: 'percentunit',
      queries: [['min by (collection, k) (vector_search_recall)', '{{collection}} @{{k}}']],
    }),
  )
  .withPanel(
    graph('Recommendations called helpful', {
      says: 'Share of the opinions of the last days, and how many there were; few say little',
      unit: 'short',
      queries: [
        ['max by (kind) (recommendation_helpful_share)', '{{kind}} helpful'],
        ['max by (kind) (recommendation_feedback_recent)', '{{kind}} opinions'],
      ],
    }),
  );
