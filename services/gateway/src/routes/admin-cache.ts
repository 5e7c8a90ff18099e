import { ClearCacheBody, ClearedCache, FlowstateError, SearchCacheStats } from '@flowstate/contracts';
import { mastersOf } from '@flowstate/queue';
import { expireAnswers } from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';
import { readRedisFigures } from '../redis-figures.ts';

const tags = ['admin'];

/** The cache of vector search: what it does, and how to be rid of what it holds. */
export function adminCacheRoutes(
  app: App,
  { sql, cache, search, audit }: Pick<Deps, 'sql' | 'cache' | 'search' | 'audit'>,
): void {
  app.get(
    '/api/admin/cache',
    {
      schema: {
        tags,
        summary: 'What the cache of vector search does',
        description: '`gateway` is the process that answers, since it began; `redis` the instance all share.',
        response: { 200: SearchCacheStats },
      },
    },
    async () => ({ gateway: search.cacheStats(), redis: await redisStats(cache) }),
  );

  app.post(
    '/api/admin/cache/clear',
    {
      config: { search: 'changes' },
      schema: {
        tags,
        summary: 'No cached answer of before is given any more',
        description:
          'Works while the cache is away too: nothing is deleted, the collections get new versions. What is out of ' +
          'reach expires or is evicted.',
        body: ClearCacheBody,
        response: { 200: ClearedCache },
      },
    },
    async (request) => {
      const { collection, reason } = request.body;
      const collections = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const names = await expireAnswers(tx, collection);
        if (collection !== undefined && names.length === 0) {
          throw new FlowstateError('not_found', `There is no collection ${collection}`, {
            errors: [{ field: 'collection', message: 'does not exist' }],
          });
        }
        await record({ action: 'cache.cleared', subject: collection ?? 'all', details: { reason } });
        return names;
      });
      return { collections };
    },
  );
}

async function redisStats(redis: Redis): Promise<SearchCacheStats['redis']> {
  try {
    const [{ used: usedBytes, max: maxBytes, evicted }, keys] = await Promise.all([
      readRedisFigures(redis),
      Promise.all(mastersOf(redis).map((server) => server.dbsize())),
    ]);
    return { state: 'up', keys: keys.reduce((sum, some) => sum + some, 0), usedBytes, maxBytes, evicted };
  } catch {
    return { state: 'down', keys: null, usedBytes: null, maxBytes: null, evicted: null };
  }
}
