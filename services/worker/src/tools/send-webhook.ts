import { AgentWebhookAnswer, AgentWebhookBody, FlowstateError, webhookTool } from '@flowstate/contracts';
import { defineTool } from '@flowstate/workflow';
import Type from 'typebox';

export const sendWebhook = defineTool({
  name: webhookTool,
  description: 'Posts a JSON message to a URL outside. A person has to agree each time, so say in it what they need.',
  input: AgentWebhookBody,
  output: Type.Object({ status: Type.Integer() }, { additionalProperties: false }),
  effect: 'unsafe',
  approval: true,
  async run({ backend, signal, idempotencyKey }, body) {
    const request = {
      operation: 'webhooks.send',
      method: 'POST',
      path: '/api/webhooks',
      body,
      idempotencyKey,
    } as const;
    const { outcome, status, error } = await backend({ ...request, response: AgentWebhookAnswer }, signal).catch(
      (failure: unknown) => {
        // It may have got through before the gateway fell silent.
        if (failure instanceof FlowstateError && failure.retryable) throw inDoubt(failure.message);
        throw failure;
      },
    );
    if (outcome === 'delivered' && status !== null) return { status };
    if (outcome === 'unknown') throw inDoubt(error ?? 'no answer');
    throw new FlowstateError('upstream_failed', `the endpoint did not take it: ${error ?? outcome}`, {
      retryable: false,
    });
  },
});

/** What an unsafe step throws as a timeout puts its run aside for a person, who can find out what nobody here knows. */
function inDoubt(why: string): FlowstateError {
  return new FlowstateError('timeout', `The webhook may or may not have been sent: ${why}`);
}
