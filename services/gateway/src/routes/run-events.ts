import { IdParams, invalidInput, isTerminal, type FlowstateError, type RunEvent } from '@flowstate/contracts';
import { readEvents } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { watchEvents } from '../runs/run-watch.ts';

const heartbeatMs = 15_000;

/** A run's events as server-sent events: recorded ones carry their `seq` as id, progress has none. */
export function runEventRoute(app: App, { runs, sql, subscriber, metrics, streams, draining }: Deps): void {
  app.get(
    '/api/runs/:id/events',
    {
      schema: {
        tags: ['runs'],
        summary: 'Follow a run (SSE)',
        description:
          'Resumes after `Last-Event-ID`; ends with the terminal event, or with `reauth` when the token expires, its ' +
          'session or key ends, or its user may read this no more',
        params: IdParams,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 20 })) }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const run = await runs.read(request.params.id, principal);
      const lastSeq = lastSeen(request.headers['last-event-id']);
      // Of a run that goes on it may be an event that a crashed Postgres forgot: what comes is sent.
      if (lastSeq > 0 && isTerminal(run.state)) {
        const last = (await readEvents(sql, run.id)).at(-1);
        if (lastSeq > (last?.seq ?? 0)) throw noSuchEvent();
      }
      const left = new AbortController();
      request.raw.once('close', () => left.abort());
      // A stream lasts no longer than the token that opened it.
      const expired = expiry(request.authority?.expiresAt);
      const reading = streams.open(request);
      const signal = AbortSignal.any([left.signal, draining, expired.signal, reading.signal]);

      reply.hijack();
      const stream = reply.raw;
      stream.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-request-id': request.id,
      });
      stream.write(': here it comes\n\n');
      metrics.sseActive.inc();
      const heartbeat = setInterval(() => stream.write(': still here\n\n'), heartbeatMs);
      try {
        for await (const event of watchEvents(sql, subscriber, run.id, lastSeq, signal)) {
          // A reader that does not keep up waits here; what it misses meanwhile is read from Postgres.
          if (!stream.write(frame(event))) await drained(stream, signal);
        }
      } catch (error) {
        request.log.warn({ err: error }, 'event stream broke off; the reader will resume');
      } finally {
        clearInterval(heartbeat);
        expired.clear();
        reading.close();
        if (expired.signal.aborted || reading.signal.aborted) stream.write('event: reauth\ndata: {}\n\n');
        metrics.sseActive.dec();
        stream.end();
      }
    },
  );
}

/** Aborts when the token ends; API keys do not. */
function expiry(at: Date | undefined): { signal: AbortSignal; clear: () => void } {
  const over = new AbortController();
  if (at === undefined) return { signal: over.signal, clear: () => {} };
  const timer = setTimeout(() => over.abort(), Math.max(0, at.getTime() - Date.now()));
  return { signal: over.signal, clear: () => clearTimeout(timer) };
}

function lastSeen(header: string | undefined): number {
  if (header === undefined || header === '') return 0;
  const seq = Number(header);
  if (Number.isSafeInteger(seq) && seq >= 0) return seq;
  throw noSuchEvent();
}

function noSuchEvent(): FlowstateError {
  return invalidInput([{ field: 'headers.last-event-id', message: 'must be the id of an event of this run' }]);
}

function frame(event: RunEvent | { type: string }): string {
  const id = 'seq' in event ? `id: ${event.seq}\n` : '';
  return `${id}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function drained(stream: NodeJS.WritableStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
