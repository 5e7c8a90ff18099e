import { OneOf, type Customer } from '@flowstate/contracts';
import type { Static } from 'typebox';
import type { IntegrationResult } from './integration.ts';
import type { InteractionResult } from './interaction.ts';
import type { KnowledgeResult } from './knowledge.ts';
import type { SalesResult } from './sales-intelligence.ts';

/** Whom a briefing is written for. */
export const Audience = OneOf(['executive', 'sales', 'support']);
export type Audience = Static<typeof Audience>;

/** Everything a report is made of. */
export type ReportFacts = {
  /** The id the facts were asked for by: ours or an external one. */
  customerId: string;
  customer: Customer;
  interaction: InteractionResult;
  sales: SalesResult;
  integration: IntegrationResult;
  knowledge: KnowledgeResult;
};
