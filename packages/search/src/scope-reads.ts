import type { Viewer } from '@flowstate/contracts';
import { createSharedReads, type Sql } from '@flowstate/store';
import { LRUCache } from 'lru-cache';
import { scopeLeaseMs } from './scope-epoch.ts';
import { chooseScopes, type Models } from './search-scope.ts';

type Scopes = Awaited<ReturnType<typeof chooseScopes>>;
type Known = { scopes: Scopes; epoch: string; readAt: number };

/** Collections, in all scopes that are kept. */
const maxCollections = 50_000;

export type ScopeQuestion = { models: Models; within: string | undefined; viewer: Viewer };

/**
 * What is searched, read in Postgres by whoever asks first after a change; the others ask Redis whether there was one,
 * which is a tenth of the work. Without an epoch Postgres is asked each time.
 */
export function createScopeReads(sql: Sql) {
  const reads = createSharedReads<Scopes>();
  const known = new LRUCache<string, Known>({
    maxSize: maxCollections,
    sizeCalculation: ({ scopes }) => scopes.reduce((size, { collections }) => size + collections.length, 1),
  });

  return {
    /** The scopes as they were at a moment after the epoch was asked for. Throws as `chooseScopes` does. */
    async of({ models, within, viewer }: ScopeQuestion, epoch: string | undefined): Promise<Scopes> {
      const asker = JSON.stringify([viewer.id, viewer.role, within ?? null, models]);
      const remembered = known.get(asker);
      if (remembered !== undefined && remembered.epoch === epoch) {
        if (performance.now() - remembered.readAt < scopeLeaseMs) return remembered.scopes;
      }
      const readAt = performance.now();
      const scopes = await reads.of(asker, () => chooseScopes(sql, models, within, viewer));
      if (epoch !== undefined) known.set(asker, { scopes, epoch, readAt });
      return scopes;
    },
  };
}
