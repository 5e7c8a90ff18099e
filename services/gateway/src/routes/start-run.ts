import { FlowstateError, Run, StartRunBody } from '@flowstate/contracts';
import { secretsEqual } from '@flowstate/runtime';
import { activeTraceparent, isTraceparent } from '@flowstate/tracing';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { requestDeadlineMs, within } from '../deadline.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { toApiRun } from '../runs/api-run.ts';
import { waitForEnd } from '../runs/run-watch.ts';

const Params = Type.Object({ name: Type.String({ maxLength: 64 }) });
const Headers = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'Same key and body within 24 h: the same run' }),
  ),
  prefer: Type.Optional(Type.String({ description: '`wait=N` (at most 60 s) asks for the finished run' })),
  traceparent: Type.Optional(Type.String()),
});
const maxWaitSeconds = 60;

/** Takes a run: validated, committed, then queued. The way of a run begins here. */
export function startRunRoute(app: App, { runs, sql, subscriber, streams, config }: Deps): void {
  app.post(
    '/api/workflows/:name/runs',
    {
      // It may wait for the run's end; being accepted has its own deadline.
      config: { deadlineMs: maxWaitSeconds * 1000 + 2 * requestDeadlineMs },
      schema: {
        tags: ['runs'],
        summary: 'Start a run',
        params: Params,
        headers: Headers,
        body: StartRunBody,
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const principal = principalOf(request);
      const key = request.headers['idempotency-key'];
      const { traceparent: given } = request.headers;
      // Its own span goes on from the caller's; where nothing is traced here, theirs is kept.
      const traceparent = activeTraceparent() ?? (given !== undefined && isTraceparent(given) ? given : undefined);
      const owner = workerOf(request, config.WORKER_API_KEY);
      const starting = runs.start({
        ...request.body,
        workflow: name,
        principal,
        ...(key !== undefined && {
          idempotency: { route: `POST /api/workflows/${name}/runs`, key, body: request.body },
        }),
        ...(traceparent !== undefined && { traceparent }),
        ...(owner !== undefined && { owner }),
      });
      const { run } = await within(starting);
      reply.header('location', `/api/runs/${run.id}`);
      const seconds = preferredWait(request.headers.prefer);
      if (seconds > 0) {
        // Hanging up ends the waiting, never the run.
        const hungUp = new AbortController();
        request.raw.once('close', () => hungUp.abort());
        const reading = streams.open(request);
        const signal = AbortSignal.any([hungUp.signal, reading.signal]);
        const ended = await waitForEnd(sql, subscriber, run.id, seconds, signal).finally(() => reading.close());
        // Who may know no more is told what they knew: it was accepted.
        if (reading.signal.aborted) return reply.code(202).send(toApiRun(run, principal));
        if (ended?.finishedAt)
          return reply.header('preference-applied', `wait=${seconds}`).code(200).send(toApiRun(ended, principal));
        if (ended) return reply.code(202).send(toApiRun(ended, principal));
      }
      return reply.code(202).send(toApiRun(run, principal));
    },
  );
}

/** Seconds of `Prefer: wait=N` (RFC 7240); 0 without one. */
function preferredWait(prefer: string | undefined): number {
  const wait = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?/.exec(prefer ?? '')?.[1];
  return wait === undefined ? 0 : Math.min(Number(wait), maxWaitSeconds);
}

/** A worker that runs the run itself (its readiness probe) proves by its key that it is one. */
function workerOf(request: FastifyRequest, workerApiKey: string): number | undefined {
  const incarnation = request.headers['flowstate-worker'];
  if (incarnation === undefined) return undefined;
  const key = request.headers['flowstate-worker-key'];
  if (typeof key !== 'string' || !secretsEqual(key, workerApiKey) || !/^\d{1,9}$/.test(String(incarnation))) {
    throw new FlowstateError('forbidden', 'Only a worker may take a run for itself');
  }
  return Number(incarnation);
}
