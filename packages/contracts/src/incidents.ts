import Type, { type Static } from 'typebox';
import { Id, Nullable, RoleName, Timestamp } from './schema.ts';

/** What happened to runs within a time, for the timeline of an incident. */
export const IncidentEventsQuery = Type.Object({
  from: Timestamp,
  to: Type.Optional(Timestamp),
  principal: Type.Optional(Id),
});

/** One recorded event of a run, without inputs and results. */
export type IncidentEvent = {
  at: string;
  type: string;
  run: string;
  workflow: string;
  principal: string;
  seq: number;
  data: Record<string, unknown>;
};

const incidentId = Type.String({
  pattern: '^[A-Za-z0-9._-]{1,80}$',
  description: 'Name of the incident: letters, digits, dots, dashes',
});
const lines = Type.Array(Type.String({ maxLength: 1_000 }), { maxItems: 200 });

/** What those who answer for the roles are told. */
export const IncidentSummary = Type.Object(
  {
    id: incidentId,
    from: Timestamp,
    to: Timestamp,
    subject: Nullable(Type.String({ maxLength: 200 })),
    impactedUsers: lines,
    actionsTaken: lines,
    nextSteps: lines,
    markdown: Type.String({ maxLength: 200_000, description: 'The same for people' }),
  },
  { additionalProperties: false },
);
export type IncidentSummary = Static<typeof IncidentSummary>;

export const IncidentNoticeBody = Type.Object(
  {
    summary: IncidentSummary,
    skip: Type.Optional(
      Type.Array(Type.String({ maxLength: 200 }), {
        maxItems: 200,
        description: 'Messages that were delivered already',
      }),
    ),
  },
  { additionalProperties: false },
);
export type IncidentNoticeBody = Static<typeof IncidentNoticeBody>;

export const IncidentTaskBody = Type.Object(
  {
    incident: incidentId,
    task: Type.String({ minLength: 3, maxLength: 2_000 }),
    url: Type.String({ minLength: 1, maxLength: 2_048, description: 'Webhook of the tracking system' }),
  },
  { additionalProperties: false },
);
export type IncidentTaskBody = Static<typeof IncidentTaskBody>;

/** What became of one message. Addresses are shown by host: the rest of a webhook's URL is often its password. */
export const IncidentDelivery = Type.Object(
  {
    id: Type.String({ description: 'Its webhook-id: the same whenever it is sent again' }),
    to: Type.String(),
    roles: Type.Array(RoleName),
    host: Nullable(Type.String()),
    at: Timestamp,
    status: Nullable(Type.Integer()),
    error: Nullable(Type.String({ description: 'Null: delivered' })),
  },
  { $id: 'IncidentDelivery' },
);
export type IncidentDelivery = Static<typeof IncidentDelivery>;

export const IncidentDeliveries = Type.Object({ deliveries: Type.Array(IncidentDelivery) });
export type IncidentDeliveries = Static<typeof IncidentDeliveries>;
