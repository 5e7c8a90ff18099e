import { FlowstateError, invalidInput, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { lockManaged } from '../collections/manage.ts';
import { mustSee } from '../documents/collections.ts';
import { checkDimensions } from './check-dimensions.ts';

/**
 * Begins to embed a collection anew, or goes on where an earlier run by the same model ended; what one by another model
 * left is dropped. `dimensions`: of the model's embeddings, where that is known before the first one. Throws what
 * `lockManaged` throws, `conflict` while a run is at it, for a collection without embeddings and where the model has
 * another dimension elsewhere, `invalid_input` for the model it has, `not_found` for an administrator who does not see
 * its documents.
 */
export async function startReindex(
  tx: Db,
  { collection, model, dimensions = null }: { collection: string; model: string; dimensions?: number | null },
  viewer: Viewer,
): Promise<void> {
  await lockManaged(tx, collection, viewer);
  await mustSee(tx, [collection], viewer);
  const [row] = await tx<
    { present: string | null; begun: string | null; staged: number | null; live: string | null }[]
  >`
    SELECT c.model AS present, r.model AS begun, r.dimensions AS staged, l.id AS live
    FROM collections c LEFT JOIN collection_reindexes r ON r.collection = c.name LEFT JOIN run_live l ON l.id = r.run_id
    WHERE c.name = ${collection}`;
  if (row?.live) throw new FlowstateError('conflict', `${collection} is being reindexed by run ${row.live}`);
  if (row?.present === model) throw invalidInput([{ field: 'model', message: `is the one ${collection} has` }]);
  if (row?.present === null) throw new FlowstateError('conflict', `${collection} has no embeddings yet`);
  // What an earlier run has embedded stays, and with it its dimension.
  const known = (row?.begun === model ? row.staged : null) ?? dimensions;
  if (known !== null) await checkDimensions(tx, { model, dimensions: known }, viewer);
  if (row?.begun !== null && row?.begun !== model) await dropReindex(tx, collection);
  await tx`
    INSERT INTO collection_reindexes (collection, model) VALUES (${collection}, ${model})
    ON CONFLICT (collection) DO UPDATE SET run_id = NULL, started_at = now()`;
}

/** Says which run is at it. */
export async function noteReindexRun(db: Db, collection: string, runId: string): Promise<void> {
  await db`UPDATE collection_reindexes SET run_id = ${runId} WHERE collection = ${collection}`;
}

/** Gives up; what searches use is untouched. Answers the run that was at it; undefined: there was nothing to give up. */
export async function abandonReindex(
  tx: Db,
  collection: string,
  viewer: Viewer,
): Promise<{ runId: string | null } | undefined> {
  await lockManaged(tx, collection, viewer);
  return await dropReindex(tx, collection);
}

async function dropReindex(tx: Db, collection: string): Promise<{ runId: string | null } | undefined> {
  const [row] = await tx<{ runId: string | null }[]>`
    DELETE FROM collection_reindexes WHERE collection = ${collection} RETURNING run_id AS "runId"`;
  await tx`
    DELETE FROM reindexed_parts p USING documents d WHERE d.id = p.document_id AND d.collection = ${collection}`;
  return row;
}
