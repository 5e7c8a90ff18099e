import type { SearchHit } from '@flowstate/contracts';
import type { Sql } from '../client.ts';
import { findCollections } from './collections.ts';
import { matchDocuments, type Match } from './match.ts';

/** A scan that nobody waits for. */
const timeoutMs = 30_000;

/**
 * What `matchDocuments` answers when it looks at every embedding, and the versions of the collections it looked at, all
 * as of one moment. Throws what that throws.
 */
export async function matchExactly(
  sql: Sql,
  match: Match,
): Promise<{ hits: SearchHit[]; versions: Map<string, number> }> {
  return await sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`SELECT set_config('statement_timeout', ${String(timeoutMs)}, true)`;
    const collections = await findCollections(tx, match.collections, match.viewer);
    const hits = await matchDocuments(tx, { ...match, exact: true });
    return { hits, versions: new Map(collections.map(({ name, version }) => [name, version])) };
  });
}
