import type { Db } from '../client.ts';
import type { Collection } from '../documents/collections.ts';

/**
 * Has this server everything that these versions tell of: each write to the collections, and each change of who sees
 * them? A replica that replays behind has not; a server that follows nobody, an old primary say, is none.
 */
export async function hasCaughtUp(
  db: Db,
  collections: readonly Pick<Collection, 'name' | 'version' | 'accessEpoch'>[],
): Promise<boolean> {
  const wanted = collections.map(({ name, version, accessEpoch }) => ({ name, version, accessEpoch }));
  const [row] = await db<{ caughtUp: boolean }[]>`
    SELECT pg_is_in_recovery() AND NOT EXISTS (
      SELECT FROM json_to_recordset(${JSON.stringify(wanted)}::text::json)
        AS wanted(name text, version bigint, "accessEpoch" bigint)
      LEFT JOIN collections c USING (name)
      WHERE c.version IS NULL OR c.version < wanted.version OR c.access_epoch < wanted."accessEpoch"
    ) AS "caughtUp"`;
  return row?.caughtUp ?? false;
}
