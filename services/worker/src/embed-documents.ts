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
/** Characters of the title that go before each part of a long text. */
const maxHeading = 100;

type Status = EmbeddingsAnswer['items'][number]['status'];

/**
 * Embeds documents and hands their embeddings in; answers by id what became of each. Where the endpoint refuses one
 * text, the others of its batch are stored, and the error names its document.
 */
export async function embedDocuments(
  embedder: Embedder,
  access: Pick<DocumentAccess, 'storeEmbeddings'>,
  documents: readonly Document[],
  signal: AbortSignal,
): Promise<Map<string, Status>> {
  // The first part of each document goes last: with it the document counts as embedded.
  const parts = documents.flatMap((document) => partsOf(document).toReversed());
  const endedAs = new Map<string, Status>();
  const refused: FlowstateError[] = [];
  for (let i = 0; i < parts.length; i += batchSize) {
    // Stored as they are computed: after a crash a long text is not begun anew with all others of its batch.
    await embedParts(parts.slice(i, i + batchSize));
    const [error] = refused;
    if (error !== undefined) throw error;
  }
  return endedAs;

  /** By halves down to the text that is refused. Two that are may say that it is not the texts: that is enough. */
  async function embedParts(some: readonly Part[]): Promise<void> {
    if (refused.length > 1) return;
    let vectors;
    try {
      vectors = await embedder.embed(
        some.map((part) => part.text),
        signal,
      );
    } catch (error) {
      if (!(error instanceof FlowstateError) || error.code !== 'upstream_failed') throw error;
      const [only, ...others] = some;
      if (only !== undefined && others.length === 0) {
        refused.push(new FlowstateError(error.code, `${error.message}, asked for document ${only.item.id}`));
        return;
      }
      const half = Math.ceil(some.length / 2);
      await embedParts(some.slice(0, half));
      await embedParts(some.slice(half));
      return;
    }
    await store(some, vectors);
  }

  async function store(some: readonly Part[], vectors: readonly number[][]): Promise<void> {
    const items = some.map(({ item }, j) => ({ ...item, embedding: (vectors[j] ?? []).map(toFloat4) }));
    const perRequest = Math.max(1, Math.floor(maxNumbers / (vectors[0]?.length ?? 1)));
    for (let j = 0; j < items.length; j += perRequest) {
      const body: EmbeddingsBody = { model: embedder.model, items: items.slice(j, j + perRequest) };
      for (const { id, status } of (await access.storeEmbeddings(body)).items) endedAs.set(id, status);
    }
  }
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
