import { FlowstateError, Id } from '@flowstate/contracts';
import type { Embedders } from '@flowstate/models';
import { defineWorkflow } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createDocumentAccess, type DocumentAccess } from '../documents.ts';
import { batchSize, embedDocuments, patience, throwIfRefused, type Embedded } from '../embed-documents.ts';
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
const none: Counts = { embedded: 0, unchanged: 0, superseded: 0, missing: 0 };

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
      let total = none;
      const refused: string[] = [];
      for (let begin = 0; begin < documentIds.length; begin += batchSize) {
        const ids = documentIds.slice(begin, begin + batchSize);
        // Written where others see it, and recognised by its content there: an effect that may be repeated.
        const batch = await ctx.step(
          `embed#${begin / batchSize + 1}`,
          async ({ signal }) => {
            const batch = await embedBatch(embedders, createDocumentAccess(ctx.backend, signal), ids, signal);
            return { ...batch.counts, ...(batch.refused.size > 0 && { refused: [...batch.refused.keys()] }) };
          },
          { effect: 'keyed' },
        );
        total = sum(total, batch);
        refused.push(...(batch.refused ?? []));
        ctx.progress({ documents: Math.min(begin + batchSize, documentIds.length), of: documentIds.length });
      }
      if (refused.length > 0) {
        // By a step of their own, which says so: a retry of the run asks for these alone.
        const counts = await ctx.step(
          'embed-refused',
          ({ signal }) => embedRefused(embedders, createDocumentAccess(ctx.backend, signal), refused, signal),
          { effect: 'keyed' },
        );
        total = sum(total, counts);
      }
      return total;
    },
  );
}

function sum(a: Counts, b: Counts): Counts {
  return {
    embedded: a.embedded + b.embedded,
    unchanged: a.unchanged + b.unchanged,
    superseded: a.superseded + b.superseded,
    missing: a.missing + b.missing,
  };
}

type Batch = { counts: Counts; refused: Embedded['refused'] };

/** Those that were refused, one by one, so that each is tried; throws, naming them, when some still are. */
async function embedRefused(
  embedders: Pick<Embedders, 'first' | 'others'>,
  access: DocumentAccess,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Counts> {
  let total = none;
  const refused: Embedded['refused'] = new Map();
  for (const one of ids) {
    const batch = await embedBatch(embedders, access, [one], signal);
    total = sum(total, batch.counts);
    for (const [id, error] of batch.refused) refused.set(id, error);
  }
  throwIfRefused(refused);
  return total;
}

async function embedBatch(
  embedders: Pick<Embedders, 'first' | 'others'>,
  access: DocumentAccess,
  ids: string[],
  signal: AbortSignal,
): Promise<Batch> {
  const endedAs = new Map<string, string>();
  for (let left = 3; ; left -= 1) {
    const documents = await access.read(ids);
    const lacking = documents.filter((document) => !document.embedded);
    const refused: Embedded['refused'] = new Map();
    try {
      for (const [model, some] of Map.groupBy(lacking, (document) => document.model)) {
        const embedded = await embedDocuments(embedderOf(embedders, model), access, some, signal);
        for (const [id, status] of embedded.statuses) endedAs.set(id, status);
        for (const [id, error] of embedded.refused) refused.set(id, error);
      }
    } catch (error) {
      // The collection has got another model meanwhile: once more, by that one.
      if (left > 0 && error instanceof FlowstateError && error.code === 'conflict') continue;
      throw error;
    }
    const count = (status: string) => [...endedAs.values()].filter((other) => other === status).length;
    const counts = {
      embedded: count('stored'),
      unchanged: documents.filter(({ embedded, id }) => embedded && !endedAs.has(id)).length,
      superseded: count('changed'),
      missing: ids.length - documents.length + count('missing'),
    };
    return { counts, refused };
  }
}
