import { createHash } from 'node:crypto';
import type { Db, Sql } from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import { dimensions } from './embeddings.ts';
import type { BenchText } from './texts.ts';

export const collection = 'bench';

type Row = BenchText & { externalId: string; embedding: Float32Array };

const batch = 500;
/** Length of what is added to a vector of length 1; some 0.96 of cosine is left. */
const noise = 0.3;

/** Stores documents with their embeddings, as the product would have them, into the index as it stands. */
export async function storeReal(sql: Sql, texts: readonly BenchText[], embeddings: readonly Float32Array[]) {
  await sql`INSERT INTO collections (name, model, dimensions) VALUES (${collection}, 'all-MiniLM-L6-v2', ${dimensions})`;
  const rows = texts.map((text, i) => ({ ...text, externalId: `real-${i}`, embedding: embeddings[i] as Float32Array }));
  await store(sql, rows, {});
  await sql`VACUUM ANALYZE documents`;
}

/**
 * Grows the collection to `count` documents by copies of the real ones, their embeddings perturbed at random and their
 * metadata saying so. The index is dropped meanwhile and built anew at once, which takes a fraction of the time.
 */
export async function storePerturbed(
  sql: Sql,
  count: number,
  texts: readonly BenchText[],
  embeddings: readonly Float32Array[],
): Promise<void> {
  const [index] = await sql<{ indexdef: string }[]>`
    SELECT indexdef FROM pg_indexes WHERE indexname = 'documents_embedding_384'`;
  if (index === undefined) throw new Error('documents have no HNSW index');
  // In one transaction: the controller makes any index of neighbours that is missing.
  await sql.begin(async (tx) => {
    await tx`DROP INDEX documents_embedding_384`;
    const random = gaussian(1);
    for (let i = texts.length; i < count; i += batch) {
      const rows = Array.from({ length: Math.min(batch, count - i) }, (_, j) => {
        const of = (i + j) % texts.length;
        const text = texts[of] as BenchText;
        const embedding = perturbed(embeddings[of] as Float32Array, random);
        return { ...text, text: `${text.text} (${i + j})`, externalId: `perturbed-${i + j}`, embedding };
      });
      await store(tx, rows, { perturbed: true });
    }
    await tx`SET LOCAL maintenance_work_mem = '512MB'`;
    await tx.unsafe(index.indexdef);
  });
  await sql`VACUUM ANALYZE documents`;
}

async function store(sql: Db, rows: readonly Row[], label: object): Promise<void> {
  for (let i = 0; i < rows.length; i += batch) {
    const some = rows.slice(i, i + batch).map(({ externalId, text, topic, product, embedding }) => ({
      id: uuidv7(),
      external_id: externalId,
      text,
      metadata: { topic, product, ...label },
      content_hash: createHash('sha256')
        .update(JSON.stringify([null, text]))
        .digest('hex'),
      embedding: `[${embedding.join()}]`,
    }));
    await sql`
      INSERT INTO documents (id, external_id, collection, text, metadata, content_hash, embedding)
      SELECT id, external_id, ${collection}, text, metadata, content_hash, embedding::vector
      FROM json_to_recordset(${JSON.stringify(some)}::text::json) AS r(
        id uuid, external_id text, text text, metadata jsonb, content_hash text, embedding text)`;
  }
}

function perturbed(vector: Float32Array, random: () => number): Float32Array {
  const moved = vector.map((x) => x + (noise / Math.sqrt(vector.length)) * random());
  const length = Math.hypot(...moved);
  return moved.map((x) => x / length);
}

/** Box-Muller over a multiplicative congruential generator, so that each bench has the same copies. */
function gaussian(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
