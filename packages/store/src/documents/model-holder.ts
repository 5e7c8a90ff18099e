import type { Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { visibleTo } from './collections.ts';

/**
 * Which collection says that a model has this dimension, for whoever is refused another: the oldest one that the viewer
 * sees. That others of which they may not know say so, too, is all that is told of those.
 */
export async function nameHolder(
  db: Db,
  { model, dimensions }: { model: string; dimensions: number },
  viewer: Viewer | undefined,
): Promise<string> {
  const [holder] = await db<{ name: string }[]>`
    SELECT name FROM ${visibleTo(db, viewer)} WHERE model = ${model} AND dimensions = ${dimensions}
    ORDER BY number LIMIT 1`;
  return holder === undefined ? 'in a collection that you do not see' : `in collection ${holder.name}`;
}
