import { ROOT_CONTEXT, trace, TraceFlags, type Context, type Link, type SpanContext } from '@opentelemetry/api';

// https://www.w3.org/TR/trace-context/#traceparent-header
const form = /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** W3C traceparent of the current span, sampled or not; undefined where nothing is traced. */
export function activeTraceparent(): string | undefined {
  const active = trace.getActiveSpan()?.spanContext();
  if (active === undefined || !trace.isSpanContextValid(active)) return undefined;
  return `00-${active.traceId}-${active.spanId}-${(active.traceFlags & 0xff).toString(16).padStart(2, '0')}`;
}

/** Trace and span of the current span, for log lines; undefined where nothing is traced. */
export function activeIds(): { traceId: string; spanId: string } | undefined {
  const active = trace.getActiveSpan()?.spanContext();
  if (active === undefined || !trace.isSpanContextValid(active)) return undefined;
  return { traceId: active.traceId, spanId: active.spanId };
}

/** Is it one, by the recommendation? Whoever gets another ignores it. */
export function isTraceparent(text: string): boolean {
  const version = form.exec(text)?.[1];
  return version !== undefined && version !== 'ff';
}

export function contextOf(traceparent: string | null): Context {
  const remote = traceparent === null ? null : spanContextOf(traceparent);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

export function linkTo(traceparent: string): Link | null {
  const remote = spanContextOf(traceparent);
  return remote === null ? null : { context: remote };
}

function spanContextOf(traceparent: string): SpanContext | null {
  const [, , traceId, spanId, flags] = form.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}
