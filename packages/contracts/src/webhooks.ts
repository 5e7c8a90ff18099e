import Type, { type Static } from 'typebox';
import type { Run, TerminalState } from './runs.ts';
import { Nullable, OneOf, Timestamp } from './schema.ts';

export const webhookStates = ['pending', 'delivered', 'given_up'] as const;
export type WebhookState = (typeof webhookStates)[number];

/** One try of a delivery: an answer's status, or why there was none. */
export const WebhookTry = Type.Object({
  at: Timestamp,
  status: Nullable(Type.Integer({ description: 'HTTP status of the answer' })),
  durationMs: Nullable(Type.Integer()),
  error: Nullable(Type.String({ description: 'Why it does not count as delivered' })),
});
export type WebhookTry = Static<typeof WebhookTry>;

/** How the end of one attempt of a run is being told. */
export const WebhookDelivery = Type.Object({
  id: Type.String({ description: 'The `webhook-id` header, the same on every try' }),
  attempt: Type.Integer(),
  state: OneOf(webhookStates),
  createdAt: Timestamp,
  nextTryAt: Nullable(Type.String({ ...Timestamp, description: 'Null while a try is under way and once settled' })),
  tries: Type.Integer(),
  log: Type.Array(WebhookTry, { description: 'The latest tries, newest first' }),
});
export type WebhookDelivery = Static<typeof WebhookDelivery>;

export const RunWebhook = Type.Object(
  {
    endpoint: Type.String({ description: "The URL's origin; path and query may hold secrets and are not shown" }),
    deliveries: Type.Array(WebhookDelivery, { description: 'One for each attempt that ended, newest first' }),
  },
  { $id: 'RunWebhook' },
);
export type RunWebhook = Static<typeof RunWebhook>;

/** The `webhook-id` of a delivery. */
export function webhookId(runId: string, attempt: number): string {
  return `${runId}.${attempt}`;
}

/** The body of a delivery, in the form Standard Webhooks recommends. */
export type WebhookPayload = {
  type: `run.${TerminalState}`;
  /** When the run ended. */
  timestamp: string;
  data: Run;
};
