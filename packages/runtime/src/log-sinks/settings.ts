import Type, { type Static } from 'typebox';

/** Where logs and audit entries go besides stdout; every service's schema has these. */
export const logSinkSettings = {
  LOG_SINK_STDOUT: Type.Unsafe<'logs' | 'all' | 'off'>({
    type: 'string',
    enum: ['logs', 'all', 'off'],
    default: 'logs',
    description: 'What stdout gets as JSON lines: application logs, audit entries too (`all`), or nothing (`off`)',
  }),
  LOG_SINK_FILE: Type.Optional(
    Type.String({ description: 'File that logs and audit entries are appended to; may be rotated at any time' }),
  ),
  LOG_SINK_SYSLOG: Type.Optional(
    Type.String({
      pattern: '^(tcp|udp)://[^/@]+:\\d+$',
      description: 'Syslog server (RFC 5424) for logs and audit entries: `tcp://host:port` or `udp://host:port`',
    }),
  ),
  LOG_SINK_HTTP: Type.Optional(
    Type.String({
      pattern: '^https?://[^@]+$',
      description: 'Address that gets logs and audit entries as batches of JSON lines by POST',
    }),
  ),
  LOG_SINK_HTTP_FORMAT: Type.Unsafe<'ndjson' | 'bulk'>({
    type: 'string',
    enum: ['ndjson', 'bulk'],
    default: 'ndjson',
    description: "Body of these: plain lines, or Elasticsearch's `_bulk`",
  }),
  LOG_SINK_HTTP_TOKEN: Type.Optional(Type.String({ description: 'Bearer token for `LOG_SINK_HTTP`' })),
  LOG_SINK_BUFFER_BYTES: Type.Integer({
    default: 8 * 1024 * 1024,
    minimum: 1024,
    description: 'Bytes each sink keeps while its far end is away; beyond, lines are lost and counted',
  }),
} as const;

const schema = Type.Object(logSinkSettings);
export type LogSinkSettings = Static<typeof schema>;
