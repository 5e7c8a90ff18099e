import {
  CustomerInput,
  IntegrationInput,
  InteractionInput,
  invalidInput,
  OpportunityInput,
  type FieldError,
} from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

/** A customer's facts given with the request instead of read from the store. */
export const InlineFacts = Type.Object(
  {
    customer: CustomerInput,
    interactions: Type.Array(InteractionInput, { maxItems: 2_000 }),
    opportunities: Type.Array(OpportunityInput, { maxItems: 2_000 }),
    integrations: Type.Array(IntegrationInput, { maxItems: 2_000 }),
    history: Type.Optional(
      Type.Array(OpportunityInput, {
        maxItems: 10_000,
        description: 'closed opportunities, of any customer, that base rates are made of; default: those above',
      }),
    ),
  },
  { additionalProperties: false },
);
export type InlineFacts = Static<typeof InlineFacts>;

/** Given rows as stored ones read: their external id is their id. */
export function inlineRows<T extends { externalId: string }>(rows: readonly T[]): (T & { id: string })[] {
  return rows.map((row) => ({ id: row.externalId, ...row }));
}

/**
 * Refuses facts a report could not be traced to: rows of another customer, and two rows of a kind with the same id.
 * Throws `invalid_input` naming each.
 */
export function checkInlineFacts(facts: InlineFacts): void {
  const errors: FieldError[] = [];
  for (const kind of ['interactions', 'opportunities', 'integrations', 'history'] as const) {
    const seen = new Set<string>();
    (facts[kind] ?? []).forEach((row, index) => {
      const field = `input.facts.${kind}.${index}`;
      if (kind !== 'history' && row.customer !== facts.customer.externalId) {
        errors.push({
          field: `${field}.customer`,
          message: `must be ${facts.customer.externalId}, the customer given`,
        });
      }
      if (seen.has(row.externalId)) {
        errors.push({ field: `${field}.externalId`, message: `is given twice: ${row.externalId}` });
      }
      seen.add(row.externalId);
    });
  }
  if (errors.length > 0) throw invalidInput(errors.slice(0, 50));
}
