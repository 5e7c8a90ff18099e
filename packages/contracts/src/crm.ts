import Type, { type Static } from 'typebox';
import { AnyId, Nullable, OneOf, Timestamp } from './schema.ts';

const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
/** US dollars; bounded so that sums of millions of deals stay finite. */
const money = (minimum: number) => Type.Number({ minimum, maximum: 1e15, description: 'USD' });
const count = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });
const optional = <T extends Parameters<typeof Nullable>[0]>(schema: T) => Type.Optional(Nullable(schema));

export const channels = ['email', 'call', 'chat', 'ticket', 'meeting'] as const;
export const integrationStatuses = ['active', 'degraded', 'down', 'disabled'] as const;

/** The columns of an import, canonical names. A row is identified by `externalId`; importing it again updates it. */
export const CustomerInput = Type.Object(
  {
    externalId: AnyId,
    name: text(255),
    industry: optional(text(120)),
    segment: optional(text(60)),
    country: optional(text(120)),
    employees: optional(count),
    annualRevenue: optional(money(0)),
    owner: optional(text(255)),
    since: optional(Type.String({ format: 'date' })),
  },
  { additionalProperties: false },
);

export const InteractionInput = Type.Object(
  {
    externalId: AnyId,
    customer: AnyId,
    thread: optional(text(255)),
    channel: OneOf(channels),
    direction: OneOf(['inbound', 'outbound'] as const),
    at: Timestamp,
    author: optional(text(255)),
    subject: optional(text(500)),
    text: text(20_000),
  },
  { additionalProperties: false },
);

export const StageEntry = Type.Object({ stage: text(60), at: Timestamp }, { additionalProperties: false });

/** Stages are free text but two: an opportunity is closed when its stage is `won` or `lost`. */
export const OpportunityInput = Type.Object(
  {
    externalId: AnyId,
    customer: AnyId,
    name: optional(text(255)),
    product: text(255),
    owner: text(255),
    stage: text(60),
    amount: optional(money(-1e15)),
    openedAt: optional(Timestamp),
    closedAt: optional(Timestamp),
    history: Type.Optional(Type.Array(StageEntry, { maxItems: 100 })),
  },
  { additionalProperties: false },
);

export const Incident = Type.Object(
  { openedAt: Timestamp, closedAt: Nullable(Timestamp), summary: text(500) },
  { additionalProperties: false },
);

export const IntegrationInput = Type.Object(
  {
    externalId: AnyId,
    customer: AnyId,
    name: text(255),
    kind: text(60),
    status: OneOf(integrationStatuses),
    latencyMs: optional(Type.Number({ minimum: 0 })),
    lastSyncAt: optional(Timestamp),
    syncIntervalMinutes: optional(Type.Number({ minimum: 1 })),
    errorCount24h: Type.Optional(Type.Integer({ ...count, default: 0 })),
    incidents: Type.Optional(Type.Array(Incident, { maxItems: 100 })),
  },
  { additionalProperties: false },
);

const id = { id: Type.String({ description: 'UUIDv7, or the given id of an inline fact' }) };
/** Stored rows as the API reads them: our id, and every optional column present (null when unknown). */
export const Customer = Type.Object({ ...id, ...CustomerInput.properties }, { $id: 'Customer' });
export const Interaction = Type.Object({ ...id, ...InteractionInput.properties }, { $id: 'Interaction' });
export const Opportunity = Type.Object({ ...id, ...OpportunityInput.properties }, { $id: 'Opportunity' });
export const Integration = Type.Object({ ...id, ...IntegrationInput.properties }, { $id: 'Integration' });

export type CustomerInput = Static<typeof CustomerInput>;
export type InteractionInput = Static<typeof InteractionInput>;
export type OpportunityInput = Static<typeof OpportunityInput>;
export type IntegrationInput = Static<typeof IntegrationInput>;
export type Customer = Static<typeof Customer>;
export type Interaction = Static<typeof Interaction>;
export type Opportunity = Static<typeof Opportunity>;
export type Integration = Static<typeof Integration>;

export type StageName = 'won' | 'lost' | (string & {});

/** Has an opportunity come to its end, with this stage? */
export function isClosed({ stage }: { stage: string }): boolean {
  return stage === 'won' || stage === 'lost';
}

/** Days an opportunity has been (or was) open, upper bounds of the buckets; the last one is open-ended. */
export const ageBucketBounds = [30, 60, 90, 180] as const;
export const ageBuckets = ['0-30', '31-60', '61-90', '91-180', '181+'] as const;
export type AgeBucket = (typeof ageBuckets)[number];

/** Bucket of an age in whole days; the SQL of the base rates draws the same lines. */
export function ageBucketOf(days: number): AgeBucket {
  const index = ageBucketBounds.findIndex((bound) => days <= bound);
  return ageBuckets[index === -1 ? ageBuckets.length - 1 : index] as AgeBucket;
}

/**
 * Closed opportunities counted once over all and once per value of each dimension: what win rates are made of.
 * `stage` counts every closed opportunity that ever entered that stage. `wonAmount` in USD sums won deals that
 * have an amount, `wonWithAmount` counts them (their quotient is the average deal).
 */
export const BaseRate = Type.Object(
  {
    dimension: OneOf(['all', 'stage', 'product', 'owner', 'age'] as const),
    value: Type.String({ description: "empty for 'all'" }),
    closed: Type.Integer(),
    won: Type.Integer(),
    wonAmount: Type.Number(),
    wonWithAmount: Type.Integer(),
  },
  { $id: 'BaseRate' },
);
export type BaseRate = Static<typeof BaseRate>;
