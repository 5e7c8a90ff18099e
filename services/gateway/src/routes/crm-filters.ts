import { AnyId, FlowstateError, invalidInput } from '@flowstate/contracts';
import { findCustomerId, type Db, type UpsertOutcome } from '@flowstate/store';
import Type from 'typebox';

/** `:id` of a customer. */
export const CustomerParams = Type.Object({ id: AnyId });

/** Filter of the lists about customers. */
export const customerFilter = { customer: Type.Optional(AnyId) };

/** A value that text columns are compared with. */
export const TextFilter = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\u0000]*$' });

/** Our id of a customer by any id; throws `not_found`. */
export async function mustFindCustomerId(db: Db, anyId: string): Promise<string> {
  const id = await findCustomerId(db, anyId);
  if (id === null) throw new FlowstateError('not_found', 'There is no such customer');
  return id;
}

/** Whether the row of a POST is new. Throws `invalid_input` when its customer does not exist. */
export function isNew([outcome]: UpsertOutcome[]): boolean {
  if (outcome === 'unknown-customer') throw invalidInput([{ field: 'customer', message: 'does not exist' }]);
  return outcome === 'inserted';
}

/** The row a POST has just stored. */
export function present<T>(row: T | null): T {
  if (row === null) throw new Error('a stored row is not there');
  return row;
}

export const storeDescription =
  '201 when it is new; a row of this `externalId` that is there already becomes what is sent, and 200 is answered.';
