import Type, { type Static } from 'typebox';
import { SearchBody } from './search.ts';

/** Asked by a text, or by an embedding that the searched collections' model made, known here or not. */
export const SemanticBody = Type.Object(
  {
    ...SearchBody.properties,
    query: Type.Optional(SearchBody.properties.query),
    embedding: Type.Optional(
      Type.Array(Type.Number(), {
        minItems: 1,
        maxItems: 16_000,
        description: "in place of `query`: of `model`, or of the collection's; else of the one embedded all you see",
      }),
    ),
  },
  { additionalProperties: false },
);
export type SemanticBody = Static<typeof SemanticBody>;
