import { CollectionName } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';
import { createCrm } from '../crm.ts';

const closed = { additionalProperties: false };
/** Characters of one document's nearest part: ten of them stay far below what a model is shown of one answer. */
const maxText = 4_000;

export const searchDocuments = defineTool({
  name: 'search_documents',
  description:
    'Finds the parts of documents nearest in meaning to a query. Cite what you use by `id` with words of its `text` as they stand. Nothing found: say that the documents do not answer.',
  input: Type.Object(
    {
      query: Type.String({ minLength: 1, maxLength: 2_000, pattern: '\\S', description: 'What to look for, in words' }),
      collection: Type.Optional(Type.Unsafe<string>({ ...CollectionName, description: 'Only in this one' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10, default: 5 })),
    },
    closed,
  ),
  output: Type.Object(
    {
      documents: Type.Array(
        Type.Object(
          {
            id: Type.String(),
            externalId: Type.Union([Type.String(), Type.Null()]),
            collection: Type.String(),
            title: Type.Union([Type.String(), Type.Null()]),
            text: Type.String(),
            similarity: Type.Number(),
          },
          closed,
        ),
      ),
    },
    closed,
  ),
  effect: 'pure',
  async run({ backend, signal }, { query, collection, limit = 5 }) {
    const hits = await createCrm(backend, signal).search({
      query,
      limit,
      ...(collection !== undefined && { collection }),
    });
    return {
      documents: hits.map(({ id, externalId, collection: of, title, text, similarity }) => ({
        id,
        externalId,
        collection: of,
        title,
        text: text.slice(0, maxText).toWellFormed(),
        similarity: Math.round(similarity * 1e4) / 1e4,
      })),
    };
  },
});
