import { FlowstateError, RunTokenAnswer, RunTokenBody } from '@flowstate/contracts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { issueRunToken, runLifetime } from '../tokens.ts';

/**
 * Authority for a run's agents, given to the worker that owns the run and to no other. Workers never hold a signing
 * secret: what they may do in a user's name is decided here, by the user's role at this moment.
 */
export function runTokenRoutes(
  app: App,
  { identity, accessRules, containments }: Pick<Deps, 'identity' | 'accessRules' | 'containments'>,
): void {
  app.post(
    '/api/internal/run-tokens',
    {
      schema: {
        tags: ['internal'],
        summary: "A token to act for a run's owner, for the worker that runs it",
        body: RunTokenBody,
        response: { 200: RunTokenAnswer },
      },
    },
    async (request, reply) => {
      const { runId, incarnation } = request.body;
      const authority = await identity.runAuthorities.read(runId);
      if (authority === null || authority.owner !== incarnation) {
        throw new FlowstateError('conflict', 'This worker does not run that run');
      }
      if (authority.userContained) {
        // It came up after all: accepted or claimed while its owner was being contained.
        await containments.hold({ id: runId, userId: authority.userId });
        throw new FlowstateError('conflict', "The run's owner is contained: it is in quarantine");
      }
      if (authority.userDisabled) throw new FlowstateError('forbidden', "The run's owner is disabled");
      if (!accessRules.mayRun(authority.role, authority.workflow)) {
        throw new FlowstateError('forbidden', `The role ${authority.role} may not run ${authority.workflow}`);
      }
      const token = issueRunToken(app, { id: runId, incarnation }, authority);
      return reply.header('cache-control', 'no-store').send({ token, expiresIn: runLifetime });
    },
  );
}
