import { setting, type ConnectionOptions } from '../connection.ts';
import { metricsUrls, readMetrics, type Reading } from '../metrics/endpoints.ts';
import { sumBy } from '../metrics/samples.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import type { Verdict } from './verdict.ts';

const answerWithinMs = 5_000;

/** Why traces are missing: flags, endpoint, the collector's reachability from here, each process' export queue. */
export async function checkTraces(options: ConnectionOptions, terminal: Terminal): Promise<Verdict> {
  const urls = await metricsUrls(options, terminal);
  const { signal } = terminal;
  const token = await setting(terminal, 'METRICS_TOKEN');
  const { readings, unread } = await readMetrics(urls, { token, signal });
  const endpoints = [...new Set(readings.flatMap(({ samples }) => endpointsOf(samples)))];
  const findings: Finding[] = [
    ...unread.map(({ url, why }) => ({ step: `metrics of ${url}`, ok: false, seen: why })),
    ...readings.map(flagsOf),
  ];
  if (endpoints.length > 1) {
    findings.push({
      step: 'endpoint',
      ok: false,
      seen: `processes send to different ones: ${endpoints.join(', ')}`,
      knob: 'give all services the same OTEL_EXPORTER_OTLP_ENDPOINT and restart those that differ',
    });
  }
  for (const endpoint of endpoints) findings.push(await reach(endpoint, terminal));
  findings.push(...readings.filter(({ samples }) => endpointsOf(samples).length > 0).map(queueOf));
  return verdictOf(`${readings.length} processes send traces to ${endpoints.join(', ')}`, findings);
}

const endpointsOf = (samples: Reading['samples']) =>
  samples
    .filter(({ name, value }) => name === 'otel_traces_enabled' && value === 1)
    .map(({ labels }) => labels.endpoint ?? '');

function flagsOf({ service, url, samples }: Reading): Finding {
  const flag = samples.find(({ name }) => name === 'otel_traces_enabled');
  const step = `flags of ${service} (${new URL(url).host})`;
  if (flag?.value === 1) return { step, ok: true, seen: `OTEL_ENABLED, to ${flag.labels.endpoint}` };
  const fault = flag?.labels.fault ?? '';
  if (fault !== '') return { step, ok: false, seen: fault, knob: 'correct it and restart this service' };
  return {
    step,
    ok: false,
    seen: 'OTEL_ENABLED is not true, or the service was started without telemetry',
    knob: 'set OTEL_ENABLED=true, start with `node --import packages/runtime/src/telemetry.ts` (npm start does), restart',
  };
}

/** An empty export is a valid one: a collector answers it with 200. */
async function reach(endpoint: string, { signal }: Terminal): Promise<Finding> {
  const step = `collector ${endpoint}`;
  const begun = performance.now();
  const headers = { 'content-type': 'application/x-protobuf' };
  try {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers,
      body: new Uint8Array(),
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    });
    await response.body?.cancel();
    const seen = `answers ${response.status} within ${Math.round(performance.now() - begun)} ms`;
    if (response.ok) return { step, ok: true, seen };
    const knob =
      response.status === 404
        ? 'the address is no OTLP receiver: OTEL_EXPORTER_OTLP_ENDPOINT is its base, or the full path ending in /v1/traces'
        : "see the collector's own log; OTEL_EXPORTER_OTLP_HEADERS carries its login";
    return { step, ok: false, seen, knob };
  } catch (error) {
    signal.throwIfAborted();
    const { name, message, cause } = error as Error & { cause?: Error };
    const hangs = name === 'TimeoutError';
    return {
      step,
      ok: false,
      seen: hangs
        ? `takes the connection and answers nothing for ${answerWithinMs} ms`
        : `no answer (${cause?.message || message})`,
      knob: hangs
        ? 'restart the collector; the services need no restart'
        : 'start the collector, or open the way to it; the services need no restart',
    };
  }
}

function queueOf({ service, url, samples }: Reading): Finding {
  const figure = (name: string) => sumBy(samples, name, '').get('') ?? 0;
  const dropped = sumBy(samples, 'otel_spans_dropped_total', 'reason');
  const [waiting, limit] = [figure('otel_spans_waiting'), figure('otel_spans_waiting_limit')];
  const failing = figure('otel_export_failing') === 1;
  const full = waiting >= limit;
  return {
    step: `export queue of ${service} (${new URL(url).host})`,
    ok: !failing && !full,
    seen:
      `${waiting} of ${limit} spans wait, ${figure('otel_spans_sent_total')} sent, ` +
      `dropped: ${[...dropped].map(([reason, n]) => `${reason} ${n}`).join(', ') || 'none'}${failing ? '; the last export failed' : ''}`,
    ...((failing || full) && {
      knob: failing
        ? 'the collector above is the cause; export goes on by itself once it answers'
        : 'OTEL_BSP_MAX_QUEUE_SIZE, or fewer traces: OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.1',
    }),
  };
}
