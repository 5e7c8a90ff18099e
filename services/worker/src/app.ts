import { randomUUID } from 'node:crypto';
import { FlowstateError, httpStatus, Me, createCheck } from '@flowstate/contracts';
import { checkMetricsToken, problemErrors, type Check, type Logger } from '@flowstate/runtime';
import type { Outcome } from '@flowstate/workflow';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { Registry } from '@prometheus-io/client';

type Options = {
  log: Logger;
  registry: Registry;
  metricsToken: string | undefined;
  gatewayUrl: string;
  workerApiKey: string;
  incarnation: () => number;
  /** Each dependency with its state. */
  checks: () => Promise<Check[]>;
  draining: () => boolean;
  runOwned: (runId: string) => Promise<Outcome>;
};

const probeRoles = new Set(['service', 'admin']);
const checkMe = createCheck(Me, { root: 'gateway answer' });

/** The worker's HTTP side: health, metrics, and running a workflow on exactly this instance. */
export function createApp(options: Options): FastifyInstance {
  const { log, registry, metricsToken, gatewayUrl, workerApiKey, incarnation, checks, draining, runOwned } = options;
  const loggerInstance: FastifyBaseLogger = log;
  const app = Fastify({
    loggerInstance,
    bodyLimit: 1024 * 1024,
    genReqId: () => randomUUID(),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
  });

  problemErrors(app);

  app.get('/health', async () => ({ status: 'ok', incarnation: incarnation() }));

  app.get('/ready', async (_request, reply) => {
    const results = await checks();
    const ready = !draining() && results.every((check) => check.ok);
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ready' : draining() ? 'draining' : 'unready', checks: results });
  });

  app.get('/metrics', async (request, reply) => {
    checkMetricsToken(request.headers.authorization, metricsToken);
    return reply.type(registry.contentType).send(await registry.metrics());
  });

  /** The readiness probe of the runbook: the whole way through engine and ledger, on this instance. */
  app.post<{ Params: { name: string }; Body: Record<string, unknown> }>(
    '/agents/workflows/:name',
    async (request, reply) => {
      if (draining()) throw new FlowstateError('unavailable', 'This worker is draining');
      const authorization = request.headers.authorization ?? '';
      const me = await askGateway('/api/auth/me', { headers: { authorization } }).then(checkMe);
      if (!probeRoles.has(me.role)) throw new FlowstateError('forbidden', `The role ${me.role} may not do this`);
      const run = (await askGateway(`/api/workflows/${encodeURIComponent(request.params.name)}/runs`, {
        method: 'POST',
        headers: {
          authorization,
          'content-type': 'application/json',
          // The gateway makes this worker its owner at once; no queue in between.
          'flowstate-worker': String(incarnation()),
          'flowstate-worker-key': workerApiKey,
        },
        body: JSON.stringify({ ...request.body, input: request.body?.input ?? {} }),
      })) as { id: string };
      await runOwned(run.id);
      return reply.send(await askGateway(`/api/runs/${run.id}`, { headers: { authorization } }));
    },
  );

  async function askGateway(path: string, init: RequestInit): Promise<unknown> {
    const response = await fetch(new URL(path, gatewayUrl), { ...init, signal: AbortSignal.timeout(30_000) }).catch(
      (cause: unknown) => {
        throw new FlowstateError('unavailable', 'The gateway does not answer', { cause });
      },
    );
    const body = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; errors?: [] };
    if (response.ok) return body;
    const code = (body.code ?? 'upstream_failed') as keyof typeof httpStatus;
    throw new FlowstateError(
      code in httpStatus ? code : 'upstream_failed',
      body.detail ?? `gateway: ${response.status}`,
      {
        ...(body.errors && { errors: body.errors }),
      },
    );
  }

  return app;
}
