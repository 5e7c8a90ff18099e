import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { FlowstateError, uuidPattern } from '@flowstate/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { isRedisOutage } from '../redis-outage.ts';
import { accessLifetime } from '../tokens.ts';
import { setSessionCookie } from './admin-login.ts';

const prefix = '/admin/queues';
const schema = { hide: true };
/** Job ids are run ids, later deliveries with a number behind (`jobIdOf`). */
const JobParams = Type.Object({
  queueName: Type.String(),
  jobId: Type.String({ pattern: `^${uuidPattern}(-[0-9]+)?$` }),
});
const runIdLength = 36;
/** A cookie is renewed once a third of its life is over. */
const renewBelowMs = (accessLifetime * 1000 * 2) / 3;

/**
 * Bull Board over the run queues. It shows them; what changes a run goes through the ledger: retry and remove are the
 * run's retry and cancel, and everything else that would change the queue behind the ledger's back is refused.
 */
export function adminQueueRoutes(
  app: App,
  { queues, runs, identity }: Pick<Deps, 'queues' | 'runs' | 'identity'>,
): void {
  const board = new LedgerBoard();
  board.setBasePath(prefix);
  createBullBoard({
    queues: Object.values(queues.queues).map(
      (queue) =>
        new BullMQAdapter(queue, { allowCompletedRetries: false } as ConstructorParameters<typeof BullMQAdapter>[1]),
    ),
    serverAdapter: board,
    options: {
      uiConfig: {
        boardTitle: 'Flowstate',
        hideRedisDetails: true,
        hideDocsLink: true,
        showWorkers: false,
        miscLinks: [{ text: 'Log out', url: '/admin/logout' }],
      },
    },
  });

  void app.register(
    async (plugin) => {
      const scope = plugin as App;

      scope.addHook('onRequest', async (request, reply) => {
        reply.headers(securityHeaders);
        renewCookie(request, reply);
      });
      scope.addHook('preSerialization', async (request, _reply, payload) => forViewer(request, payload));
      scope.addHook('onSend', async (_request, reply, payload) =>
        typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
          ? withoutForeignFonts(payload)
          : payload,
      );

      scope.put('/api/queues/:queueName/:jobId/retry', { schema: { ...schema, params: JobParams } }, (request, reply) =>
        runs.retry(runIdOf(request.params.jobId), principalOf(request)).then(() => reply.code(204).send()),
      );
      scope.put('/api/queues/:queueName/:jobId/clean', { schema: { ...schema, params: JobParams } }, (request, reply) =>
        runs.cancel(runIdOf(request.params.jobId), principalOf(request)).then(() => reply.code(204).send()),
      );
      scope.route({
        method: ['POST', 'PUT', 'PATCH', 'DELETE'],
        url: '/*',
        schema,
        handler: () => {
          throw new FlowstateError(
            'forbidden',
            'Runs are changed through the ledger: only retry and remove are possible here',
          );
        },
      });
      await scope.register(board.registerPlugin());
    },
    { prefix },
  );

  function renewCookie(request: FastifyRequest, reply: FastifyReply): void {
    const { authority } = request;
    if (authority?.cookie !== true || authority.expiresAt.getTime() - Date.now() > renewBelowMs) return;
    const { id: userId, role, via } = principalOf(request);
    if ('session' in via)
      setSessionCookie(app, request, reply, { id: via.session, userId, role }, identity.policy.epoch() ?? 0);
  }
}

/** Bull Board's Fastify adapter, for reading only: routes that write are not mounted, errors are the gateway's. */
class LedgerBoard extends FastifyAdapter {
  override setApiRoutes(routes: Parameters<FastifyAdapter['setApiRoutes']>[0]): FastifyAdapter {
    // Redis' and the workers' addresses are nobody's business here.
    const hidden = new Set(['/api/redis/stats', '/api/queues/:queueName/workers']);
    return super.setApiRoutes(routes.filter(({ method, route }) => method === 'get' && !hidden.has(String(route))));
  }

  override setErrorHandler(): this {
    // Thrown on, an error reaches the handler of the application around it.
    return super.setErrorHandler((error) => {
      if (error instanceof URIError)
        throw new FlowstateError('invalid_input', 'The address is not valid', { cause: error });
      if (isRedisOutage(error))
        throw new FlowstateError('unavailable', 'The queues cannot be read right now', { cause: error });
      throw error;
    });
  }
}

function runIdOf(jobId: string): string {
  return jobId.slice(0, runIdLength);
}

/** Who may not write sees no buttons to; and the board shows an error's `error`, which problem+json calls `detail`. */
function forViewer(request: FastifyRequest, payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null) return payload;
  if ('queues' in payload && Array.isArray(payload.queues) && request.principal?.role !== 'admin') {
    return { ...payload, queues: payload.queues.map((queue: object) => ({ ...queue, readOnlyMode: true })) };
  }
  return 'detail' in payload && 'code' in payload ? { ...payload, error: payload.detail } : payload;
}

const securityHeaders = {
  // The page's own loading screen is styled in place; its configuration is a data block, which no policy forbids.
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

/**
 * The page asks another company's server for its fonts: not here. In their place come rules that hide the buttons of
 * what is refused anyway; an administrator keeps retry and remove.
 */
function withoutForeignFonts(html: string): string {
  return html.replace(/<link[^>]+fonts\.googleapis\.com[^>]*>/, `<style>${hiddenActions}</style>`);
}

/** What a button does shows only in its icon; a waiting job is told from an ended one by its pencil. */
const hiddenActions = `
[class*="queueActions-"], [class*="editButton-"], button:has(> .lucide-ellipsis-vertical),
[class*="jobActions-"] li:not(:has(.lucide-refresh-cw, .lucide-trash-2)),
[class*="jobActions-"]:is(:has(.lucide-refresh-cw), :not(:has(.lucide-pencil))) li:has(.lucide-trash-2)
{ display: none !important }`;
