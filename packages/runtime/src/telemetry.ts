// Loaded before a service by `node --import`; does nothing unless OTEL_ENABLED is `true`. Whatever is wrong with it is
// said in the service's log, and the service starts all the same.
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { tracingStarted } from '@flowstate/tracing';
import type { Static } from 'typebox';
import { loadConfig } from './config.ts';
import { createSpanExport, exportTally } from './span-export.ts';
import { TelemetryConfig } from './telemetry-config.ts';
import { telemetryNews } from './telemetry-news.ts';
import { onTelemetryStop } from './telemetry-stop.ts';
import { endpointFault, traceEndpoint } from './trace-endpoint.ts';

const service = /services\/(\w+)\/src\/main\.ts$/.exec(process.argv[1] ?? '')?.[1];
/** Asked all the time, and of no interest to anybody. */
const untraced = new Set(['/api/health', '/api/ready', '/api/metrics', '/health', '/ready', '/metrics']);

function start(config: Static<typeof TelemetryConfig>): void {
  if (!config.OTEL_ENABLED) return;
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: base } = config;
  const fault = endpointFault(own ?? base);
  if (fault !== null) {
    const name = own === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
    return fail(`${name} ${fault}`);
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
      new HttpInstrumentation({
        ignoreIncomingRequestHook: ({ url }) => untraced.has(url?.split('?')[0] ?? ''),
        requireParentforOutgoingSpans: true,
      }),
      new UndiciInstrumentation({ requireParentforSpans: true }),
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

function fail(fault: string): void {
  exportTally.fault = fault;
  telemetryNews('warn', `no traces: ${fault}`);
}

try {
  start(loadConfig(TelemetryConfig, process.env));
} catch (error) {
  fail((error as Error).message);
}
