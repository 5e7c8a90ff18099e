import { isDeepStrictEqual } from 'node:util';
import {
  AgentWebhookAnswer,
  AgentWebhookBody,
  FlowstateError,
  invalidInput,
  maxWebhookBytes,
  webhookTool,
  type Principal,
} from '@flowstate/contracts';
import { createWebhookSender, webhookKey, type WebhookAnswer } from '@flowstate/runtime';
import { findPermit, recordOutcome, usePermit, type Permit } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';
import { createAgentWebhookPolicy } from '../runs/agent-webhook-policy.ts';

const timeoutMs = 6_000;
const Headers = Type.Object({
  'idempotency-key': Type.String({ description: "The tool call's key: `<run>:<step>`, whose approval is looked up" }),
});

/**
 * Posts to the world outside for an agent: what a person approved for that very step of that very run, once. Whatever a
 * document talked a model into, or a model its worker, ends here.
 */
export function agentWebhookRoutes(app: App, { sql, audit, config }: Pick<Deps, 'sql' | 'audit' | 'config'>): void {
  const key = webhookKey(config.WEBHOOK_SECRET);
  const allowPrivate = config.WEBHOOK_ALLOW_PRIVATE;
  const sender =
    key && createWebhookSender({ key, version: config.FLOWSTATE_VERSION, allowPrivate, timeoutMs, connections: 4 });
  app.addHook('onClose', async () => sender?.close());
  const checkUrl = createAgentWebhookPolicy(config);

  app.post(
    '/api/webhooks',
    {
      schema: {
        tags: ['approvals'],
        summary: 'Post a signed message that was approved; for runs only',
        headers: Headers,
        body: AgentWebhookBody,
        response: { 200: AgentWebhookAnswer },
      },
    },
    async (request) => {
      const { run, step } = callOf(principalOf(request), request.headers['idempotency-key']);
      const { url, message } = request.body;
      if (sender === null) throw new FlowstateError('forbidden', 'No webhooks here: no WEBHOOK_SECRET is configured');
      const target = checkUrl(url);
      // Our signature is on it: what an agent says must never pass for what Flowstate itself tells of a run.
      const body = JSON.stringify({
        type: 'agent.message',
        timestamp: new Date().toISOString(),
        data: { run, message },
      });
      if (Buffer.byteLength(body) > maxWebhookBytes) {
        throw invalidInput([{ field: 'message', message: `must not have more than ${maxWebhookBytes} bytes` }]);
      }
      const permit = await findPermit(sql, run, step, webhookTool);
      if (permit === null || !isDeepStrictEqual(permit.input, request.body)) {
        throw new FlowstateError('forbidden', 'Nobody has approved this webhook');
      }
      if (permit.used) return recalled(permit);
      const { id } = permit;
      const taken = await recordedChange({ sql, audit }, request, async (tx, record) => {
        await record({ action: 'webhook.send', subject: run, details: { approval: id, step, origin: target.origin } });
        return usePermit(tx, id);
      });
      if (!taken) return recalled({ ...permit, outcome: null });
      const answer = toAnswer(id, await sender.send(target.href, { id, body }));
      await recordOutcome(sql, id, answer);
      return answer;
    },
  );
}

/** The step whose call this is; another run's, or somebody without a run, has none. */
function callOf({ via }: Principal, key: string): { run: string; step: string } {
  if (!('run' in via)) throw new FlowstateError('forbidden', 'Only a run sends webhooks, and with an approval');
  const { run } = via;
  if (key.startsWith(`${run}:`)) return { run, step: key.slice(run.length + 1) };
  throw new FlowstateError('forbidden', "The Idempotency-Key is not one of this run's");
}

/** It was begun before: how that ended, as far as anybody knows. */
function recalled({ id, outcome }: Permit): AgentWebhookAnswer {
  return (
    (outcome as AgentWebhookAnswer | null) ?? { id, outcome: 'unknown', status: null, error: 'It was begun before' }
  );
}

function toAnswer(id: string, { status, error, unsent }: WebhookAnswer): AgentWebhookAnswer {
  const outcome = error === null ? 'delivered' : status !== null ? 'refused' : unsent ? 'unsent' : 'unknown';
  return { id, outcome, status, error };
}
