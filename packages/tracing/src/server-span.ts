import { context, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { contextOf } from './traceparent.ts';

export type ServerSpan = {
  /** Does work below it: its events may come from a socket that knows nothing of the request. */
  within<T>(work: () => T): T;
  /** Once; later calls do nothing. `status`: what was answered, 0 if nothing was. */
  end(status: number): void;
};

const tracer = trace.getTracer('flowstate');

/**
 * The span of a request that came in, as part of the caller's trace if it names one (W3C traceparent). Made by hand
 * because instrumenting `node:http` costs more than all other spans of a request together, sampled or not.
 */
export function openServerSpan(name: string, traceparent: string | undefined, attributes: Attributes): ServerSpan {
  const parent = contextOf(traceparent ?? null);
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  const inside = trace.setSpan(parent, span);
  let open = true;
  return {
    within: (work) => context.with(inside, work),
    end(status) {
      if (!open) return;
      open = false;
      if (status > 0) span.setAttribute('http.response.status_code', status);
      if (status >= 500 || status === 0) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}
