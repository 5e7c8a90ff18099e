import type { Logger } from '@flowstate/runtime';
import { dropUnusedDimension, indexNextDimension, type Sql } from '@flowstate/store';

/** Gives every dimension of embeddings that comes into use its index, as far as there may be so many. */
export function createDimensionIndexer({ sql, log }: { sql: Sql; log: Logger }) {
  return async function indexNext(): Promise<boolean> {
    const unused = await dropUnusedDimension(sql);
    if (unused !== null) log.info({ dimensions: unused }, 'embeddings that are gone have no index any more');
    const dimensions = await indexNextDimension(sql);
    if (dimensions !== null) log.info({ dimensions }, 'embeddings have an index now');
    return dimensions !== null;
  };
}
