import type { FieldError, Viewer } from '@flowstate/contracts';
import type { Db, UpsertedDocument, UpsertOutcome } from '@flowstate/store';
import type { TObject } from 'typebox';

export type Written = {
  /** By row: what became of it, or why it is refused. */
  outcomes: (UpsertOutcome | { errors: FieldError[] })[];
  documents?: UpsertedDocument[];
};

/** Where the rows of an entity go. */
export type ImportTarget<T extends { externalId?: string } = { externalId?: string }> = {
  schema: TObject;
  /** Rows of one statement at most. */
  batchRows: number;
  /** Rows that share it follow each other in separate statements. */
  key: (row: T) => string;
  /** What the schema cannot say. */
  check?: (row: T) => FieldError[];
  write: (db: Db, rows: T[], viewer: Viewer) => Promise<Written>;
};
