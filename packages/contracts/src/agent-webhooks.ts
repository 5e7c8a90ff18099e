import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf } from './schema.ts';

/** What an agent wants posted to somebody outside. */
export const AgentWebhookBody = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2_048, description: 'http or https, no private address' }),
    message: Type.Record(Type.String(), Type.Unknown(), { maxProperties: 50, description: 'The JSON object to send' }),
  },
  { additionalProperties: false },
);
export type AgentWebhookBody = Static<typeof AgentWebhookBody>;

/** `refused`: the endpoint said no. `unsent`: nothing reached it. `unknown`: it may or may not have got the message. */
export const agentWebhookOutcomes = ['delivered', 'refused', 'unsent', 'unknown'] as const;

export const AgentWebhookAnswer = Type.Object(
  {
    id: Type.Unsafe<string>({ ...Id, description: 'The `webhook-id` header: that of the approval' }),
    outcome: OneOf(agentWebhookOutcomes),
    status: Nullable(Type.Integer({ description: 'HTTP status of the answer' })),
    error: Nullable(Type.String()),
  },
  { $id: 'AgentWebhookAnswer' },
);
export type AgentWebhookAnswer = Static<typeof AgentWebhookAnswer>;

/** The tool whose approval such a webhook needs. */
export const webhookTool = 'send_webhook';
/** Largest message, as JSON. */
export const maxWebhookBytes = 64 * 1024;
