import {
  CustomerInput,
  IntegrationInput,
  InteractionInput,
  OpportunityInput,
  type FieldError,
  type ImportEntity,
  type Viewer,
} from '@flowstate/contracts';
import {
  upsertCustomers,
  upsertIntegrations,
  upsertInteractions,
  upsertOpportunities,
  type Db,
  type UpsertedDocument,
  type UpsertOutcome,
} from '@flowstate/store';
import type { TObject } from 'typebox';
import type { EmbeddingModels } from '../documents/model-dimensions.ts';
import { createDocumentTarget } from './document-target.ts';

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

const targets = {
  customers: crm(CustomerInput, upsertCustomers),
  interactions: crm(InteractionInput, upsertInteractions),
  opportunities: crm(OpportunityInput, upsertOpportunities),
  integrations: crm(IntegrationInput, upsertIntegrations),
};

export function targetOf(entity: ImportEntity, models: EmbeddingModels): ImportTarget {
  return (entity === 'documents' ? createDocumentTarget(models) : targets[entity]) as unknown as ImportTarget;
}

function crm<T extends { externalId: string }>(
  schema: TObject,
  upsert: (db: Db, rows: readonly T[]) => Promise<UpsertOutcome[]>,
): ImportTarget<T> {
  return {
    schema,
    batchRows: 500,
    key: (row) => row.externalId,
    write: async (db, rows) => ({ outcomes: await upsert(db, rows) }),
  };
}
