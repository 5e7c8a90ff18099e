// Loaded before a service by `node --import`; does nothing unless OTEL_ENABLED is `true`.
import 'import-in-the-middle/register-hooks.mjs';
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { loadConfig } from './config.ts';
import { TelemetryConfig } from './telemetry-config.ts';
import { onTelemetryStop } from './telemetry-stop.ts';
import { traceEndpoint } from './trace-endpoint.ts';

const config = loadConfig(TelemetryConfig, process.env);

if (config.OTEL_ENABLED) {
  const sdk = new NodeSDK({
    serviceName: config.OTEL_SERVICE_NAME,
    traceExporter: new OTLPTraceExporter({ url: traceEndpoint(config.OTEL_EXPORTER_OTLP_ENDPOINT) }),
    instrumentations: [getNodeAutoInstrumentations({ '@opentelemetry/instrumentation-fs': { enabled: false } })],
  });
  sdk.start();
  onTelemetryStop(() => sdk.shutdown());
}
