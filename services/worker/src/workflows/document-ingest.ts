import { FlowstateError, Id } from '@flowstate/contracts';
import type { Embedders } from '@flowstate/models';
import { defineWorkflow } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createDocumentAccess, type DocumentAccess } from '../documents.ts';
import { batchSize, embedDocuments, patience } from '../embed-documents.ts';
import { embedderOf } from '../embedder-of.ts';

const Input = Type.Object(
  { documentIds: Type.Array(Id, { minItems: 1, maxItems: 1_000, uniqueItems: true }) },
  { additionalProperties: false },
);
const Output = Type.Object({
  embedded: Type.Integer(),
  unchanged: Type.Integer({ description: 'had an embedding of their present content already' }),
  superseded: Type.Integer({ description: 'changed meanwhile; the run started by that change embeds them' }),
  missing: Type.Integer({ description: 'deleted meanwhile' }),
});
type Counts = Static<typeof Output>;

/** Computes the embeddings that documents lack, batch by batch, each by the model of its collection. */
export function createDocumentIngest(embedders: Pick<Embedders, 'first' | 'others'>) {
  return defineWorkflow(
    {
      name: 'document-ingest',
      version: '1',
      description: 'Computes the embeddings of stored documents, so that searches find them',
      queue: 'documents',
      input: Input,
      output: Output,
      retry: patience,
    },
    async (ctx, { documentIds }) => {
      const total: Counts = { embedded: 0, unchanged: 0, superseded: 0, missing: 0 };
      for (let begin = 0; begin < documentIds.length; begin += batchSize) {
        const ids = documentIds.slice(begin, begin + batchSize);
        // Written where others see it, and recognised by its content there: an effect that may be repeated.
        const counts = await ctx.step(
          `embed#${begin / batchSize + 1}`,
          ({ signal }) => embedBatch(embedders, createDocumentAccess(ctx.backend, signal), ids, signal),
          { effect: 'keyed' },
        );
        for (const [name, count] of Object.entries(counts)) total[name as keyof Counts] += count;
        ctx.progress({ documents: Math.min(begin + batchSize, documentIds.length), of: documentIds.length });
      }
      return total;
    },
  );
}

async function embedBatch(
  embedders: Pick<Embedders, 'first' | 'others'>,
  access: DocumentAccess,
  ids: string[],
  signal: AbortSignal,
): Promise<Counts> {
  const endedAs = new Map<string, string>();
  for (let left = 3; ; left -= 1) {
    const documents = await access.read(ids);
    const lacking = documents.filter((document) => !document.embedded);
    try {
      for (const [model, some] of Map.groupBy(lacking, (document) => document.model)) {
        const statuses = await embedDocuments(embedderOf(embedders, model), access, some, signal);
        for (const [id, status] of statuses) endedAs.set(id, status);
      }
    } catch (error) {
      // The collection has got another model meanwhile: once more, by that one.
      if (left > 0 && error instanceof FlowstateError && error.code === 'conflict') continue;
      throw error;
    }
    const count = (status: string) => [...endedAs.values()].filter((other) => other === status).length;
    return {
      embedded: count('stored'),
      unchanged: documents.filter(({ embedded, id }) => embedded && !endedAs.has(id)).length,
      superseded: count('changed'),
      missing: ids.length - documents.length + count('missing'),
    };
  }
}
