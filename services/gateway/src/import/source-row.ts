import type { FieldError } from '@flowstate/contracts';

/** A row as the file has it: `cells` by the file's own column names, `size` in characters; or why it cannot be read. */
export type SourceRow = { line: number; size: number } & (
  | { cells: Record<string, unknown> }
  | { errors: FieldError[] }
);
