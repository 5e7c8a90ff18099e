import type { FieldError } from '@flowstate/contracts';

/** What is wrong with one of the rows. */
export type RefusedRow = { row: number; errors: FieldError[] };
