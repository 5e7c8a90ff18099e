import {
  AnyId,
  CustomerInput,
  DocumentInput,
  IntegrationInput,
  InteractionInput,
  OpportunityInput,
  type FieldError,
  type ImportEntity,
  type Viewer,
} from '@flowstate/contracts';
import {
  upsertCustomers,
  upsertDocuments,
  upsertIntegrations,
  upsertInteractions,
  upsertOpportunities,
  type Db,
  type UpsertedDocument,
  type UpsertOutcome,
} from '@flowstate/store';
import Type, { type Static, type TObject } from 'typebox';
import { documentErrors } from '../documents/document-batch.ts';

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

// Without one, importing the file again would double its documents.
const KeyedDocument = Type.Object({ ...DocumentInput.properties, externalId: AnyId }, { additionalProperties: false });
type KeyedDocument = Static<typeof KeyedDocument>;

const targets = {
  customers: crm(CustomerInput, upsertCustomers),
  interactions: crm(InteractionInput, upsertInteractions),
  opportunities: crm(OpportunityInput, upsertOpportunities),
  integrations: crm(IntegrationInput, upsertIntegrations),
  documents: {
    schema: KeyedDocument,
    batchRows: 64, // texts are long, and a batch is embedded by one run
    key: ({ collection, externalId }: KeyedDocument) => JSON.stringify([collection, externalId]),
    check: documentErrors,
    write: async (db: Db, rows: KeyedDocument[], viewer: Viewer) => {
      const documents = await upsertDocuments(db, rows, viewer);
      return { outcomes: documents.map(({ status }) => status), documents };
    },
  },
};

export function targetOf(entity: ImportEntity): ImportTarget {
  return targets[entity] as unknown as ImportTarget;
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
