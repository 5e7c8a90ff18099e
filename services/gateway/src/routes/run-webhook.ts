import { IdParams, RunWebhook } from '@flowstate/contracts';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const tags = ['runs'];

/** The log of a run's webhook, and telling its end once more. */
export function runWebhookRoutes(app: App, { runs }: Pick<Deps, 'runs'>): void {
  app.get(
    '/api/runs/:id/webhook',
    {
      schema: {
        tags,
        summary: "How the run's end was told: state, tries, next try",
        params: IdParams,
        response: { 200: RunWebhook },
      },
    },
    async (request) => runs.webhook(request.params.id, principalOf(request)),
  );

  app.post(
    '/api/runs/:id/webhook/redeliver',
    {
      schema: {
        tags,
        summary: "Tell the end of the run's last attempt again, under the same id",
        params: IdParams,
        response: { 202: RunWebhook },
      },
    },
    async (request, reply) => reply.code(202).send(await runs.redeliver(request.params.id, principalOf(request))),
  );
}
