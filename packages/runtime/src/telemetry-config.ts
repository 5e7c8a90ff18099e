import Type from 'typebox';

const standard = 'the standard `OTEL_*` variables hold too';

/** What telemetry reads beside the standard `OTEL_*` variables. */
export const TelemetryConfig = Type.Object({
  OTEL_ENABLED: Type.Boolean({ default: false, description: 'Sends traces' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.String({
    default: 'http://localhost:4318/v1/traces',
    description: `The collector's base or full path; ${standard}`,
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Type.Optional(
    Type.String({ description: 'Full path for traces; goes before `OTEL_EXPORTER_OTLP_ENDPOINT`' }),
  ),
  OTEL_SERVICE_NAME: Type.Optional(
    Type.String({ description: 'Service name of the traces; `flowstate-gateway`, `-worker`, `-controller`' }),
  ),
  OTEL_BSP_MAX_QUEUE_SIZE: Type.Integer({
    default: 2048,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Spans kept while the collector is away; those beyond are dropped and counted',
  }),
  OTEL_BSP_SCHEDULE_DELAY: Type.Integer({
    default: 5000,
    minimum: 1,
    maximum: 600_000,
    description: 'Milliseconds between two exports',
  }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: Type.Integer({ default: 512, minimum: 1, description: 'Spans of one export' }),
});
