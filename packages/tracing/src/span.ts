import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
} from '@opentelemetry/api';
import { contextOf, linkTo } from './traceparent.ts';

export type SpanOptions = {
  kind?: keyof typeof SpanKind;
  attributes?: Attributes;
};

export type RootOptions = SpanOptions & {
  /** W3C traceparent of what this goes on from; null: a trace of its own. */
  parent: string | null;
  /** W3C traceparents of what this has to do with. */
  links?: readonly string[];
  /** Milliseconds since 1970; now, when left out. */
  startedAt?: number;
};

// Asks for the provider anew with every span: it may be loaded before telemetry starts.
const tracer = trace.getTracer('flowstate');

/**
 * Does work in a span below the current one. Where there is none, or it is not sampled, it is only done: nothing is
 * traced that no request or run asked for, and an unsampled trace costs next to nothing.
 */
export function inSpan<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T> {
  if (!isSampled()) return work();
  return within(startSpan(name, options, context.active()), context.active(), work);
}

/** Does work in a span that begins where another process left off, or a trace. */
export function inRootSpan<T>(name: string, options: RootOptions, work: () => Promise<T>): Promise<T> {
  const parent = contextOf(options.parent);
  return within(startSpan(name, options, parent), parent, work);
}

/** What is over: a span below the current one, in milliseconds since 1970. */
export function addSpan(name: string, options: SpanOptions, from: number, to: number): void {
  if (isSampled()) startSpan(name, { ...options, startedAt: from }, context.active()).end(to);
}

/** Does what stands around the current work belong to a trace that is sent somewhere? */
export function isSampled(): boolean {
  return trace.getActiveSpan()?.isRecording() === true;
}

/** A name or figures that are known only now, for the current span. */
export function describeSpan(attributes: Attributes, name?: string): void {
  const span = trace.getActiveSpan();
  if (span?.isRecording() !== true) return;
  span.setAttributes(attributes);
  if (name !== undefined) span.updateName(name);
}

/** What is done for many at once belongs to none of their traces. */
export function outsideSpans<T>(work: () => T): T {
  return context.with(trace.deleteSpan(context.active()), work);
}

function startSpan(
  name: string,
  { kind = 'INTERNAL', attributes = {}, links = [], startedAt }: SpanOptions & Partial<RootOptions>,
  parent: Context,
): Span {
  const linked: Link[] = links.flatMap((traceparent) => linkTo(traceparent) ?? []);
  const times = startedAt === undefined ? {} : { startTime: startedAt };
  return tracer.startSpan(name, { kind: SpanKind[kind], attributes, links: linked, ...times }, parent);
}

async function within<T>(span: Span, parent: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await context.with(trace.setSpan(parent, span), work);
  } catch (error) {
    fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Only the kind of an error: what it says may hold what somebody typed. */
export function fail(span: Span, error: unknown): void {
  const { code, name } = error as { code?: string; name?: string };
  span.setAttribute('error.type', code ?? name ?? 'error');
  span.setStatus({ code: SpanStatusCode.ERROR });
}
