import { checkNumbers, ForkBody, Id, IdParams, ResolveBody, Run, SignalBody, SignalName } from '@flowstate/contracts';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { toApiRun } from '../runs/api-run.ts';

const tags = ['runs'];
const response = { 202: Run };

/** What people do to a run while it lives, and after it failed. */
export function runControlRoutes(app: App, { runs }: Pick<Deps, 'runs'>): void {
  for (const [action, summary] of [
    ['cancel', 'Cancel a run and its children: at once when queued, at its next await when running'],
    ['retry', 'Retry a failed run from its failed step'],
  ] as const) {
    app.post(
      `/api/runs/:id/${action}`,
      { schema: { tags, summary, params: IdParams, response } },
      async (request, reply) => {
        const principal = principalOf(request);
        return reply.code(202).send(toApiRun(await runs[action](request.params.id, principal), principal));
      },
    );
  }

  app.post(
    '/api/runs/:id/signals/:name',
    {
      schema: {
        tags,
        summary: 'Send a run the signal it waits for, or will wait for',
        params: Type.Object({ id: Id, name: SignalName }),
        body: SignalBody,
        response,
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const signal = { name: request.params.name, data: request.body.data ?? null };
      checkNumbers(signal.data, 'data');
      return reply.code(202).send(toApiRun(await runs.signal(request.params.id, signal, principal), principal));
    },
  );

  app.post(
    '/api/runs/:id/fork',
    {
      schema: {
        tags,
        summary: 'Start a new run from a step of this one; what came before is taken as it was',
        params: IdParams,
        body: ForkBody,
        response,
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const forked = await runs.fork(request.params.id, request.body, principal);
      return reply.header('location', `/api/runs/${forked.id}`).code(202).send(toApiRun(forked, principal));
    },
  );

  app.post(
    '/api/runs/:id/resolve',
    {
      schema: {
        tags,
        summary: 'Settle a parked run: say whether its effect in doubt took place',
        params: IdParams,
        body: ResolveBody,
        response,
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      if (request.body.outcome === 'happened') checkNumbers(request.body.output, 'output');
      return reply.code(202).send(toApiRun(await runs.resolve(request.params.id, request.body, principal), principal));
    },
  );
}
