import { Id, type Document, type EmbeddingsBody } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import { defineWorkflow } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createDocumentAccess, type DocumentAccess } from '../documents.ts';
import { splitText } from '../split-text.ts';

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

/** Documents per step: a second or two of work, all that a crash can cost. */
const batchSize = 32;
/** Numbers per request, at some ten characters each well within a body's limit of 1 MiB. */
const maxNumbers = 48_000;
/** Characters of the title that go before each part of a long text. */
const maxHeading = 100;

/** Computes the embeddings that documents lack, batch by batch. */
export function createDocumentIngest(embedder: Embedder) {
  return defineWorkflow(
    {
      name: 'document-ingest',
      version: '1',
      description: 'Computes the embeddings of stored documents, so that searches find them',
      queue: 'documents',
      input: Input,
      output: Output,
      retry: { attempts: 5, backoffMs: 1_000, maxBackoffMs: 60_000 },
    },
    async (ctx, { documentIds }) => {
      const total: Counts = { embedded: 0, unchanged: 0, superseded: 0, missing: 0 };
      for (let begin = 0; begin < documentIds.length; begin += batchSize) {
        const ids = documentIds.slice(begin, begin + batchSize);
        // Written where others see it, and recognised by its content there: an effect that may be repeated.
        const counts = await ctx.step(
          `embed#${begin / batchSize + 1}`,
          ({ signal }) => embedBatch(embedder, createDocumentAccess(ctx.backend, signal), ids, signal),
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
  embedder: Embedder,
  access: DocumentAccess,
  ids: string[],
  signal: AbortSignal,
): Promise<Counts> {
  const documents = await access.read(ids);
  const lacking = documents.filter((document) => !document.embedded);
  // The first part of each document goes last: with it the document counts as embedded.
  const parts = lacking.flatMap((document) => partsOf(document).toReversed());
  const endedAs = new Map<string, string>();
  for (let i = 0; i < parts.length; i += batchSize) {
    // Stored as they are computed: after a crash a long text is not begun anew with all others of its batch.
    const some = parts.slice(i, i + batchSize);
    const vectors = await embedder.embed(
      some.map((part) => part.text),
      signal,
    );
    const items = some.map(({ item }, j) => ({ ...item, embedding: (vectors[j] ?? []).map(toFloat4) }));
    const perRequest = Math.max(1, Math.floor(maxNumbers / (vectors[0]?.length ?? 1)));
    for (let j = 0; j < items.length; j += perRequest) {
      const body: EmbeddingsBody = { model: embedder.model, items: items.slice(j, j + perRequest) };
      for (const { id, status } of (await access.storeEmbeddings(body)).items) endedAs.set(id, status);
    }
  }
  const statuses = [...endedAs.values()];
  const count = (status: string) => statuses.filter((other) => other === status).length;
  return {
    embedded: count('stored'),
    unchanged: documents.length - lacking.length,
    superseded: count('changed'),
    missing: ids.length - documents.length + count('missing'),
  };
}

type Part = { text: string; item: Omit<EmbeddingsBody['items'][number], 'embedding'> };

function partsOf({ id, contentHash, title, text }: Document): Part[] {
  const parts = splitText(text);
  if (parts.length <= 1) return [{ text: title === null ? text : `${title}\n${text}`, item: { id, contentHash } }];
  // A part may not name what it is about; the title does.
  const heading = title === null ? '' : `${title.slice(0, maxHeading)}\n`;
  return parts.map(({ begin, length, text: part }, index) => ({
    text: `${heading}${part}`,
    item: { id, contentHash, chunk: { index, of: parts.length, begin, length } },
  }));
}

/** As many digits as are kept: half the size of a body. */
function toFloat4(x: number): number {
  return Number(Math.fround(x).toPrecision(9));
}
