import type { Viewer } from '@flowstate/contracts';
import { createSharedReads, type Sql } from '@flowstate/store';
import { LRUCache } from 'lru-cache';
import { scopeLeaseMs } from './scope-epoch.ts';
import { chooseScope, type Models, type SearchScope } from './search-scope.ts';

type Known = { scope: SearchScope; epoch: string; readAt: number };

/** Collections, in all scopes that are kept. */
const maxCollections = 50_000;

export type ScopeQuestion = { models: Models; within: string | undefined; viewer: Viewer };

/**
 * What is searched, read in Postgres by whoever asks first after a change; the others ask Redis whether there was one,
 * which is a tenth of the work. Without an epoch Postgres is asked each time.
 */
export function createScopeReads(sql: Sql) {
  const reads = createSharedReads<SearchScope>();
  const known = new LRUCache<string, Known>({
    maxSize: maxCollections,
    sizeCalculation: ({ scope }) => scope.collections.length + 1,
  });

  return {
    /** The scope as it was at a moment after the epoch was asked for. Throws as `chooseScope` does. */
    async of({ models, within, viewer }: ScopeQuestion, epoch: string | undefined): Promise<SearchScope> {
      const asker = JSON.stringify([viewer.id, viewer.role, within ?? null, models.known]);
      const remembered = known.get(asker);
      if (remembered !== undefined && remembered.epoch === epoch) {
        if (performance.now() - remembered.readAt < scopeLeaseMs) return remembered.scope;
      }
      const readAt = performance.now();
      const scope = await reads.of(asker, () => chooseScope(sql, models, within, viewer));
      if (epoch !== undefined) known.set(asker, { scope, epoch, readAt });
      return scope;
    },
  };
}
