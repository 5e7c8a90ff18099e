import Type, { type Static } from 'typebox';
import { Document } from './documents.ts';
import { Id, OneOf } from './schema.ts';
import { runStates } from './runs.ts';

const Model = Type.String({ minLength: 1, maxLength: 200, description: 'what the collection is to be searched by' });

export const ReindexBody = Type.Object({ model: Model }, { additionalProperties: false });
export type ReindexBody = Static<typeof ReindexBody>;

export const ReindexStarted = Type.Object({ run: Type.Object({ id: Id, state: OneOf(runStates) }) });
export type ReindexStarted = Static<typeof ReindexStarted>;

/** What a run that reindexes still has to embed, by id. */
export const PendingDocumentsPage = Type.Object({
  items: Type.Array(Document),
  documents: Type.Integer({ description: 'How many the collection has' }),
});

export const SwitchAnswer = Type.Object({
  switched: Type.Boolean({ description: 'false: some documents lack their new embeddings' }),
});
export type SwitchAnswer = Static<typeof SwitchAnswer>;
