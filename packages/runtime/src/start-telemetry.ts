import { diag, DiagLogLevel } from '@opentelemetry/api';
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { tracingStarted } from '@flowstate/tracing';
import type { Static } from 'typebox';
import { createSpanExport } from './span-export.ts';
import type { TelemetryConfig } from './telemetry-config.ts';
import { telemetryFault } from './telemetry-fault.ts';
import { telemetryNews } from './telemetry-news.ts';
import { onTelemetryStop } from './telemetry-stop.ts';
import { endpointFault, traceEndpoint } from './trace-endpoint.ts';

const service = /services\/(\w+)\/src\/main\.ts$/.exec(process.argv[1] ?? '')?.[1];
/** Asked all the time, and of no interest to anybody. */
const untraced = new Set(['/health', '/ready', '/metrics']);

/** Spans of Redis, SQL, queue, steps and models are made where they are called, and say more there. */
process.env.OTEL_NODE_ENABLED_INSTRUMENTATIONS ??= 'http,undici';

/** Begins to send spans. What is wrong with the settings is said in the log. */
export function startTelemetry(config: Static<typeof TelemetryConfig>): void {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: base } = config;
  const fault = endpointFault(own ?? base);
  if (fault !== null) {
    const name = own === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
    return telemetryFault(`${name} ${fault}`);
  }
  const url = own ?? traceEndpoint(base);
  const exports = createSpanExport({
    exporter: new OTLPTraceExporter({ url }),
    endpoint: url,
    capacity: config.OTEL_BSP_MAX_QUEUE_SIZE,
    delayMs: config.OTEL_BSP_SCHEDULE_DELAY,
    batchSize: config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    onNews: (trouble) =>
      trouble === null
        ? telemetryNews('info', 'the collector takes traces again', { endpoint: url })
        : telemetryNews('warn', 'the collector takes no traces; they are dropped, and tried again', {
            endpoint: url,
            reason: trouble,
          }),
  });
  const sdk = new NodeSDK({
    serviceName: config.OTEL_SERVICE_NAME ?? (service === undefined ? 'flowstate' : `flowstate-${service}`),
    spanProcessors: [exports],
    // Metrics are Prometheus', logs are pino's.
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      getNodeAutoInstrumentations({
        '@opentelemetry/instrumentation-http': {
          // The gateway follows its requests itself: that costs less than to have every emitter of them wrapped.
          disableIncomingRequestInstrumentation: service === 'gateway',
          ignoreIncomingRequestHook: ({ url }) => untraced.has(url?.split('?')[0] ?? ''),
          requireParentforOutgoingSpans: true,
        },
        '@opentelemetry/instrumentation-undici': { requireParentforSpans: true },
      }),
    ],
  });
  // What the SDK finds wrong with its own variables; exports have a line of their own.
  const warn = (message: string) => telemetryNews('warn', `telemetry: ${message}`);
  const silent = () => {};
  const says = { error: warn, warn, info: silent, debug: silent, verbose: silent };
  if (process.env.OTEL_LOG_LEVEL === undefined) diag.setLogger(says, DiagLogLevel.WARN);
  sdk.start();
  if (process.env.OTEL_LOG_LEVEL === undefined) diag.disable();
  tracingStarted();
  onTelemetryStop(() => sdk.shutdown());
}
