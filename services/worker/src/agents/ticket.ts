import { Nullable, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false };

export const Ticket = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 255, description: 'unique in its batch' }),
    subject: Type.Optional(Nullable(Type.String({ maxLength: 500 }))),
    text: Type.String({ minLength: 1, maxLength: 20_000, pattern: '\\S' }),
  },
  closed,
);
export type Ticket = Static<typeof Ticket>;

/** What a ticket is about: the topics of the lexicon, and what is none of them. */
export const categories = [
  'billing',
  'pricing',
  'availability',
  'performance',
  'errors',
  'integration',
  'data',
  'access',
  'security',
  'onboarding',
  'feature',
  'contract',
  'churn',
  'support',
  'delivery',
  'other',
] as const;
export type Category = (typeof categories)[number];

export const ticketPriorities = ['urgent', 'high', 'normal', 'low'] as const;
export type TicketPriority = (typeof ticketPriorities)[number];

const ticketTeams = ['finance', 'sales', 'engineering', 'support', 'security', 'customer-success', 'product'] as const;
export type TicketTeam = (typeof ticketTeams)[number];

/** Whose a category is, where nobody says otherwise. */
export const teamOf: Readonly<Record<Category, TicketTeam>> = {
  billing: 'finance',
  pricing: 'sales',
  availability: 'engineering',
  performance: 'engineering',
  errors: 'engineering',
  integration: 'engineering',
  data: 'support',
  access: 'support',
  security: 'security',
  onboarding: 'customer-success',
  feature: 'product',
  contract: 'sales',
  churn: 'customer-success',
  support: 'support',
  delivery: 'support',
  other: 'support',
};

/** What a reader decides about a ticket. */
export const TicketLabels = Type.Object(
  {
    category: OneOf(categories),
    priority: OneOf(ticketPriorities),
    sentiment: OneOf(['positive', 'neutral', 'negative']),
    team: OneOf(ticketTeams),
  },
  closed,
);
export type TicketLabels = Static<typeof TicketLabels>;
