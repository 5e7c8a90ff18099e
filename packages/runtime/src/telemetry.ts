// Loaded before a service by `node --import`; does nothing unless OTEL_ENABLED is `true`.
import 'import-in-the-middle/register-hooks.mjs';
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { onTelemetryStop } from './telemetry-stop.ts';
import { traceEndpoint } from './trace-endpoint.ts';

const { OTEL_ENABLED, OTEL_EXPORTER_OTLP_ENDPOINT } = process.env;

if (OTEL_ENABLED === 'true') {
  const sdk = new NodeSDK({
    serviceName: process.env.OTEL_SERVICE_NAME ?? 'flowstate',
    traceExporter: new OTLPTraceExporter({ url: traceEndpoint(OTEL_EXPORTER_OTLP_ENDPOINT) }),
    instrumentations: [getNodeAutoInstrumentations({ '@opentelemetry/instrumentation-fs': { enabled: false } })],
  });
  sdk.start();
  onTelemetryStop(() => sdk.shutdown());
}
