import { FlowstateError, type Document, type EmbeddingsAnswer, type EmbeddingsBody } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import type { RetryPolicy } from '@flowstate/workflow';
import type { DocumentAccess } from './documents.ts';
import { splitText } from './split-text.ts';

/**
 * What was accepted is embedded when the endpoint is back, be it the next morning: some twelve hours, asked again every
 * five minutes at most. Such a run waits without a worker, and what it waits for is on record.
 */
export const patience: RetryPolicy = { attempts: 300, backoffMs: 1_000, maxBackoffMs: 300_000 };
/** Parts embedded at a time: a second or two of work, all that a crash can cost. */
export const batchSize = 32;
/** Numbers per request, at some ten characters each well within a body's limit of 1 MiB. */
const maxNumbers = 48_000;
/** Documents that an error names. */
const maxNamed = 10;
/** Characters of the title that go before each part of a long text. */
const maxHeading = 100;

type Status = EmbeddingsAnswer['items'][number]['status'];

export type Embedded = {
  /** By document, what became of its embeddings. */
  statuses: Map<string, Status>;
  /** By document that has none because the endpoint refuses one of its texts. */
  refused: Map<string, FlowstateError>;
};

/**
 * Embeds documents and hands their embeddings in. A text that the endpoint refuses keeps no other document from its
 * embeddings. Throws where it seems to refuse whatever it is asked.
 */
export async function embedDocuments(
  embedder: Embedder,
  access: Pick<DocumentAccess, 'storeEmbeddings'>,
  documents: readonly Document[],
  signal: AbortSignal,
): Promise<Embedded> {
  // The first part of each document goes last: with it the document counts as embedded.
  const parts = documents.flatMap((document) => partsOf(document).toReversed());
  const statuses = new Map<string, Status>();
  const refused = new Map<string, FlowstateError>();
  for (let i = 0; i < parts.length; i += batchSize) {
    // Stored as they are computed: after a crash a long text is not begun anew with all others of its batch.
    await embedBatch(parts.slice(i, i + batchSize));
  }
  for (const id of refused.keys()) statuses.delete(id); // of its other parts
  return { statuses, refused };

  async function embedBatch(batch: readonly Part[]): Promise<void> {
    let taken = false;
    const before = refused.size;
    await embedParts(batch);

    /** By halves down to the texts that are refused. Two documents, while none is taken, say that it is not the texts. */
    async function embedParts(half: readonly Part[]): Promise<void> {
      const some = half.filter(({ item }) => !refused.has(item.id)); // without all its parts none counts
      const [first, ...others] = some;
      if (first === undefined) return;
      let vectors;
      try {
        vectors = await embedder.embed(
          some.map((part) => part.text),
          signal,
        );
      } catch (error) {
        if (!(error instanceof FlowstateError) || error.code !== 'upstream_failed') throw error;
        if (others.length > 0) {
          const middle = Math.ceil(some.length / 2);
          await embedParts(some.slice(0, middle));
          await embedParts(some.slice(middle));
          return;
        }
        refused.set(first.item.id, error);
        if (!taken && refused.size > before + 1) throwIfRefused(refused);
        return;
      }
      taken = true;
      await store(some, vectors);
    }
  }

  async function store(some: readonly Part[], vectors: readonly number[][]): Promise<void> {
    const items = some.map(({ item }, j) => ({ ...item, embedding: (vectors[j] ?? []).map(toFloat4) }));
    const perRequest = Math.max(1, Math.floor(maxNumbers / (vectors[0]?.length ?? 1)));
    for (let j = 0; j < items.length; j += perRequest) {
      const body: EmbeddingsBody = { model: embedder.model, items: items.slice(j, j + perRequest) };
      for (const { id, status } of (await access.storeEmbeddings(body)).items) statuses.set(id, status);
    }
  }
}

/** Throws the first refusal, naming all documents, if there are any. */
export function throwIfRefused(refused: Embedded['refused']): void {
  const [error] = refused.values();
  if (error === undefined) return;
  const ids = [...refused.keys()];
  const named = ids.slice(0, maxNamed).join(', ');
  const which = ids.length === 1 ? `document ${named}` : `documents ${named}`;
  const more = ids.length > maxNamed ? ` and ${ids.length - maxNamed} more` : '';
  throw new FlowstateError(error.code, `${error.message}, asked for ${which}${more}`);
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
