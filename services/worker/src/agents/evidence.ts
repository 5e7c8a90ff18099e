import { OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

export const EvidenceKind = OneOf(['customer', 'interaction', 'opportunity', 'integration', 'document']);
export type EvidenceKind = Static<typeof EvidenceKind>;

const RowEvidence = Type.Object(
  { kind: EvidenceKind, ids: Type.Array(Type.String()) },
  { additionalProperties: false },
);
const QueryEvidence = Type.Object(
  {
    kind: EvidenceKind,
    query: Type.String({ description: 'path of the API that lists these rows, or their place in the input' }),
    count: Type.Integer({ minimum: 0, description: 'how many rows there were; of a longer list the first ones' }),
  },
  { additionalProperties: false },
);

/** Where a number comes from: the rows themselves or, where they are too many to name, the request that lists them. */
export const Evidence = Type.Union([RowEvidence, QueryEvidence]);
export type Evidence = Static<typeof Evidence>;

/**
 * Evidence by row ids. That there are no such rows is a fact about the customer, so nothing at all points there:
 * a zero is traceable too.
 */
export function rowsOf(kind: EvidenceKind, ids: readonly string[], customerId: string): Evidence {
  return ids.length === 0 ? { kind: 'customer', ids: [customerId] } : { kind, ids: [...ids] };
}
