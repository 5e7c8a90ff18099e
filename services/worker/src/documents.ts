import {
  Document,
  EmbeddingsAnswer,
  Page,
  PendingDocumentsPage,
  SwitchAnswer,
  type EmbeddingsBody,
} from '@flowstate/contracts';
import type { Backend } from '@flowstate/workflow';
import type { Static } from 'typebox';

/** Documents as workflows reach them, through the gateway and with its run's authority. */
export type DocumentAccess = {
  /** Those of the ids (at most 200) that still exist. */
  read(ids: readonly string[]): Promise<Document[]>;
  /** Safe to repeat: each embedding counts only for the content it was made from. */
  storeEmbeddings(body: EmbeddingsBody): Promise<EmbeddingsAnswer>;
  /** The next documents of a collection that lack embeddings by the model it is reindexed by. */
  pending(collection: string, model: string, after?: string): Promise<Static<typeof PendingDocumentsPage>>;
  /** Lets those take the place of the old ones, unless a document lacks its own. Safe to repeat. */
  switchModel(collection: string, model: string): Promise<SwitchAnswer>;
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
    pending: async (collection, model, after) =>
      backend(
        {
          operation: 'reindex.documents',
          path: `/api/collections/${collection}/reindex/documents`,
          query: { model, after },
          response: PendingDocumentsPage,
        },
        signal,
      ),
    switchModel: async (collection, model) =>
      backend(
        {
          operation: 'reindex.switch',
          method: 'POST',
          path: `/api/collections/${collection}/reindex/switch`,
          body: { model },
          response: SwitchAnswer,
        },
        signal,
      ),
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
