import {
  CustomerInput,
  IntegrationInput,
  InteractionInput,
  OpportunityInput,
  type ImportEntity,
} from '@flowstate/contracts';
import {
  upsertCustomers,
  upsertIntegrations,
  upsertInteractions,
  upsertOpportunities,
  type Db,
  type UpsertOutcome,
} from '@flowstate/store';
import type { TObject } from 'typebox';
import type { EmbeddingModels } from '../documents/model-dimensions.ts';
import { createDocumentTarget } from './document-target.ts';
import type { ImportTarget } from './import-target.ts';

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
