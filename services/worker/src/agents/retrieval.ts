import { CollectionName, Nullable } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { round } from './statistics.ts';

const closed = { additionalProperties: false };

export const Question = Type.String({ minLength: 1, maxLength: 2_000, pattern: '\\S' });

/** The part of a document nearest to a question, as it stands there. */
export const Passage = Type.Object(
  {
    id: Type.String({ pattern: '^d[1-9][0-9]*$', description: 'answers refer to it as [d1]' }),
    documentId: Type.String(),
    externalId: Nullable(Type.String()),
    title: Nullable(Type.String()),
    similarity: Type.Number(),
    text: Type.String(),
  },
  closed,
);
export type Passage = Static<typeof Passage>;

/** Cosine similarity below which a passage is about something else. */
const threshold = 0.25;

/** Finds the passages of documents that may answer a question: those whoever asks may search, and no others. */
export const retrievalAgent = defineAgent({
  name: 'retrieval',
  description: 'Passages of documents near to a question, the nearest first',
  input: Type.Object(
    {
      question: Question,
      collection: Type.Optional(CollectionName),
      limit: Type.Integer({ minimum: 1, maximum: 20 }),
    },
    closed,
  ),
  output: Type.Object({ passages: Type.Array(Passage) }, closed),
  async run(ctx, { question, collection, limit }) {
    const where = collection === undefined ? {} : { collection };
    const hits = await createCrm(ctx.backend, ctx.signal).searchHybrid({
      query: question,
      ...where,
      limit,
      threshold,
    });
    return {
      passages: hits.map(({ id, externalId, title, text, similarity }, index): Passage => {
        return { id: `d${index + 1}`, documentId: id, externalId, title, similarity: round(similarity, 4), text };
      }),
    };
  },
});
