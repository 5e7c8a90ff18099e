import {
  FlowstateError,
  invalidInput,
  type EmbeddingsAnswer,
  type EmbeddingsBody,
  type FieldError,
} from '@flowstate/contracts';
import type { Db, Sql } from '../client.ts';
import type { Collection } from './collections.ts';
import { toVector } from './match.ts';

type Target = Pick<Collection, 'model' | 'dimensions'> & { id: string; collection: string; content_hash: string };

/**
 * Stores embeddings computed from the content that `contentHash` names; a document that has changed meanwhile keeps
 * waiting for its own. The first embedding fixes a collection's model and dimension. Throws `conflict` for another
 * model and `invalid_input` for another dimension or a vector without direction; then nothing is stored. Safe to
 * repeat.
 */
export async function storeEmbeddings(sql: Sql, { model, items }: EmbeddingsBody): Promise<EmbeddingsAnswer> {
  const vectors = items.map((item) => toUnit(item.embedding));
  refuse(
    vectors.flatMap((vector, i) =>
      vector === null ? [wrongVector(i, 'has no direction: all zeros or too large')] : [],
    ),
  );
  return await sql.begin(async (tx) => {
    const targets = await lockTargets(
      tx,
      items.map((item) => item.id),
    );
    const statuses = items.map(({ id, contentHash }) => {
      const target = targets.get(id);
      if (target === undefined) return 'missing';
      return target.content_hash === contentHash ? 'stored' : 'changed';
    });
    const taken = items.flatMap((item, i) => {
      const target = targets.get(item.id);
      return statuses[i] === 'stored' && target !== undefined ? [{ i, target, vector: vectors[i] ?? [] }] : [];
    });
    const collections = await fixModel(
      tx,
      model,
      taken.map(({ target, vector }) => [target.collection, vector.length]),
    );
    for (const { name, model: theirs } of collections.values()) {
      if (theirs === model) continue;
      throw new FlowstateError('conflict', `Collection ${name} holds embeddings of ${theirs}, not of ${model}`, {
        errors: [{ field: 'model', message: `must be ${theirs}: collection ${name} holds its embeddings` }],
      });
    }
    refuse(
      taken.flatMap(({ i, target, vector }) => {
        const dimensions = collections.get(target.collection)?.dimensions;
        return vector.length === dimensions
          ? []
          : [wrongVector(i, `must have ${dimensions} dimensions, not ${vector.length}`)];
      }),
    );
    const rows = taken.map(({ target, vector }) => ({ id: target.id, embedding: toVector(vector) }));
    await tx`
      UPDATE documents d SET embedding = r.embedding::vector
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(id uuid, embedding text)
      WHERE d.id = r.id`;
    return { items: items.map(({ id }, i) => ({ id, status: statuses[i] ?? 'missing' })) };
  });
}

/** Locks in the order in which upserts do, so that neither waits for the other crosswise. */
async function lockTargets(tx: Db, ids: string[]): Promise<Map<string, Target>> {
  const rows = await tx<Target[]>`
    SELECT id, collection, content_hash FROM documents WHERE id = ANY(${ids})
    ORDER BY collection, external_id, id FOR NO KEY UPDATE`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Gives collections without a model this one, and answers what each has. */
async function fixModel(
  tx: Db,
  model: string,
  used: [name: string, dimensions: number][],
): Promise<Map<string, Collection>> {
  // The first vector decides where none has yet.
  const dimensions = new Map(used.toReversed());
  const names = [...dimensions.keys()].toSorted();
  for (const name of names) {
    await tx`
      UPDATE collections SET model = ${model}, dimensions = ${dimensions.get(name) ?? 0}
      WHERE name = ${name} AND model IS NULL`;
  }
  const rows = await tx<
    Collection[]
  >`SELECT name, model, dimensions, version FROM collections WHERE name = ANY(${names})`;
  return new Map(rows.map((row) => [row.name, row]));
}

/** Scaled to length 1, which cosine does not see and keeps every value within float4; null when that cannot be. */
function toUnit(vector: readonly number[]): number[] | null {
  const norm = Math.hypot(...vector);
  if (norm === 0 || !Number.isFinite(norm)) return null;
  // Nine digits are all a float4 has.
  return vector.map((x) => Number(Math.fround(x / norm).toPrecision(9)));
}

function wrongVector(i: number, message: string): FieldError {
  return { field: `items.${i}.embedding`, message };
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidInput(errors);
}
