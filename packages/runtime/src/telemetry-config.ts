import Type from 'typebox';

/** What telemetry reads beside the standard `OTEL_*` variables. */
export const TelemetryConfig = Type.Object({
  OTEL_ENABLED: Type.Boolean({ default: false, description: 'Sends traces' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.String({
    default: 'http://localhost:4318/v1/traces',
    description: "The collector's base or full path; the standard `OTEL_*` variables hold too",
  }),
  OTEL_SERVICE_NAME: Type.String({ default: 'flowstate', description: 'Service name of the traces' }),
});
