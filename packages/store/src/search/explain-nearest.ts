import type { Db } from '../client.ts';

type Node = { 'Node Type': string; 'Index Name'?: string; 'Relation Name'?: string; Plans?: Node[] };

export type NearestPlan = {
  /** How Postgres would look for the nearest documents now, from the outside in; empty while there are none. */
  plan: string[];
  /** Indexes for embeddings that are there and can be used. */
  indexes: string[];
};

/** How the scan within `match_documents` would be gone about, for an embedding that is stored; nothing is searched. */
export async function explainNearest(db: Db): Promise<NearestPlan> {
  const indexes = await db<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'hnsw' AND i.indisvalid ORDER BY 1`;
  const [sample] = await db<{ dimensions: number; type: string; embedding: string }[]>`
    SELECT dimensions, neighbour_type(dimensions, false) AS type, embedding::text AS embedding FROM documents WHERE embedding IS NOT NULL LIMIT 1`;
  if (sample === undefined) return { plan: [], indexes: indexes.map(({ name }) => name) };
  const { dimensions, type, embedding } = sample;
  // The index is on an expression with the dimension in its type: that cannot be a parameter.
  const [row] = await db.unsafe<{ 'QUERY PLAN': { Plan: Node }[] }[]>(
    `EXPLAIN (FORMAT JSON) SELECT id FROM documents WHERE dimensions = ${dimensions}
     ORDER BY embedding::${type}(${dimensions}) <=> $1::${type}(${dimensions}) LIMIT 10`,
    [embedding],
  );
  const root = row?.['QUERY PLAN'][0]?.Plan;
  return { plan: root === undefined ? [] : namesOf(root), indexes: indexes.map(({ name }) => name) };
}

function namesOf(node: Node): string[] {
  const on = node['Index Name'] ?? node['Relation Name'];
  return [`${node['Node Type']}${on === undefined ? '' : ` on ${on}`}`, ...(node.Plans ?? []).flatMap(namesOf)];
}
