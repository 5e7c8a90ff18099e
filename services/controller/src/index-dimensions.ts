import type { Logger } from '@flowstate/runtime';
import { indexNextDimension, type Sql } from '@flowstate/store';

/** Gives every dimension of embeddings that comes into use its index. */
export function createDimensionIndexer({ sql, log }: { sql: Sql; log: Logger }) {
  return async function indexNext(): Promise<boolean> {
    const dimensions = await indexNextDimension(sql);
    if (dimensions !== null) log.info({ dimensions }, 'embeddings have an index now');
    return dimensions !== null;
  };
}
