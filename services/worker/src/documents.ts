import { Document, EmbeddingsAnswer, Page, type EmbeddingsBody } from '@flowstate/contracts';
import type { Backend } from '@flowstate/workflow';

/** Documents as the ingest workflow reaches them, through the gateway and with its run's authority. */
export type DocumentAccess = {
  /** Those of the ids (at most 200) that still exist. */
  read(ids: readonly string[]): Promise<Document[]>;
  /** Safe to repeat: each embedding counts only for the content it was made from. */
  storeEmbeddings(body: EmbeddingsBody): Promise<EmbeddingsAnswer>;
};

const DocumentPage = Page(Document);

export function createDocumentAccess(backend: Backend, signal: AbortSignal): DocumentAccess {
  return {
    async read(ids) {
      const query = { ids: ids.join() };
      return (
        await backend({ operation: 'documents.list', path: '/api/documents', query, response: DocumentPage }, signal)
      ).items;
    },
    storeEmbeddings: async (body) =>
      backend(
        {
          operation: 'documents.embeddings',
          method: 'PUT',
          path: '/api/documents/embeddings',
          body,
          response: EmbeddingsAnswer,
        },
        signal,
      ),
  };
}
