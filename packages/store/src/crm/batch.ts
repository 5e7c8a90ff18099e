import { v7 as uuidv7 } from 'uuid';
import { keysOf } from './any-id.ts';

/** What became of one row of an upsert; an unchanged one was not written. */
export type UpsertOutcome = 'inserted' | 'updated' | 'unchanged' | 'unknown-customer';

/** As the upsert statements answer it: `writtenId` null when nothing was written. */
export type WrittenRow = { id: string; writtenId: string | null; known: boolean };

type Row = { externalId: string; customer?: string };

/**
 * Rows as JSON for `json_to_recordset`, each with its place `n`, the id it gets if it is new, and `ours`: the
 * customer's id in case it was named by ours.
 */
export function toBatch(rows: readonly Row[]): string {
  const numbered = rows.map((row, n) => ({
    ...row,
    n,
    id: uuidv7(),
    ours: row.customer === undefined ? null : keysOf(row.customer).id,
  }));
  return JSON.stringify(numbered);
}

export function outcomeOf({ id, writtenId, known }: WrittenRow): UpsertOutcome {
  if (!known) return 'unknown-customer';
  if (writtenId === null) return 'unchanged';
  return writtenId === id ? 'inserted' : 'updated';
}
