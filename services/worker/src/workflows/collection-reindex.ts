import { CollectionName } from '@flowstate/contracts';
import type { Embedders } from '@flowstate/models';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';
import { createDocumentAccess, type DocumentAccess } from '../documents.ts';
import { embedDocuments, patience, throwIfRefused } from '../embed-documents.ts';
import { embedderOf } from '../embedder-of.ts';

const Input = Type.Object(
  { collection: CollectionName, model: Type.String({ minLength: 1, maxLength: 200 }) },
  { additionalProperties: false },
);
const Output = Type.Object({
  embedded: Type.Integer({ description: 'documents, those that changed meanwhile each time' }),
});

/** Pages of 32 documents per step. What a step has stored is not computed again, whatever happens to it. */
const pagesPerStep = 8;

/**
 * Embeds a collection anew by another model, and lets the new embeddings take the place of the old ones when no document
 * lacks its own: passes over what is pending until a pass finds nothing, then the switch, which looks once more.
 */
export function createCollectionReindex(embedders: Pick<Embedders, 'first' | 'others'>) {
  return defineWorkflow(
    {
      name: 'collection-reindex',
      version: '1',
      description: 'Embeds a collection anew by another model, while searches go on by the one it has',
      queue: 'documents',
      input: Input,
      output: Output,
      retry: patience, // a large collection is switched for minutes, too
    },
    async (ctx, { collection, model }) => {
      let embedded = 0;
      let steps = 0;
      for (let pass = 1; ; pass++) {
        const refused = await embedPending('embed', { mayRefuse: true });
        // They alone are pending still: by steps of their own, which say so.
        if (refused > 0) await embedPending('embed-refused', { mayRefuse: false });
        const { switched } = await ctx.step(
          `switch#${pass}`,
          ({ signal }) => createDocumentAccess(ctx.backend, signal).switchModel(collection, model),
          { effect: 'keyed' },
        );
        if (switched) return { embedded };
      }

      /** All that is pending; answers how many documents were refused. */
      async function embedPending(step: string, { mayRefuse }: { mayRefuse: boolean }): Promise<number> {
        let refused = 0;
        let after: string | undefined;
        do {
          steps += 1;
          const begin: string | undefined = after;
          const done = await ctx.step(
            `${step}#${steps}`,
            ({ signal }) => embedPages(createDocumentAccess(ctx.backend, signal), { begin, mayRefuse }, signal),
            { effect: 'keyed' },
          );
          embedded += done.embedded;
          refused += done.refused ?? 0;
          after = done.last ?? undefined;
          ctx.progress({ documents: Math.min(embedded, done.documents), of: done.documents });
        } while (after !== undefined);
        return refused;
      }

      async function embedPages(
        access: DocumentAccess,
        { begin, mayRefuse }: { begin: string | undefined; mayRefuse: boolean },
        signal: AbortSignal,
      ) {
        const embedder = embedderOf(embedders, model);
        let last = begin;
        let embedded = 0;
        let refused = 0;
        for (let page = 0; ; page++) {
          const { items, documents } = await access.pending(collection, model, last);
          if (items.length > 0) {
            const done = await embedDocuments(embedder, access, items, signal);
            if (!mayRefuse) throwIfRefused(done.refused);
            embedded += [...done.statuses.values()].filter((status) => status === 'stored').length;
            refused += done.refused.size;
            last = items.at(-1)?.id;
          }
          // Null: this pass has come to the end.
          if (items.length > 0 && page + 1 < pagesPerStep) continue;
          const result = { embedded, documents, last: items.length === 0 ? null : (last ?? null) };
          return { ...result, ...(refused > 0 && { refused }) };
        }
      }
    },
  );
}
