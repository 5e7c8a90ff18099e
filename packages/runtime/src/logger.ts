import { pino, type Logger, type LoggerOptions } from 'pino';
import type { LogSinks } from './log-sinks/log-sinks.ts';

export type { Logger } from 'pino';

/** Header and field names whose values never reach a log line. */
const secrets = [
  'authorization',
  'cookie',
  'password',
  'accessToken',
  'refreshToken',
  'token',
  'apiKey',
  'secret',
  '["set-cookie"]',
  '["x-api-key"]',
];
const dotted = (prefix: string, name: string) => (name.startsWith('[') ? `${prefix}${name}` : `${prefix}.${name}`);

const optionsFor = (service: string, level: string): LoggerOptions => ({
  level,
  base: { service },
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
  redact: {
    paths: secrets.flatMap((name) => [name, dotted('*', name), dotted('*.headers', name)]),
    censor: '[redacted]',
  },
});

/** JSON lines to the sinks, or stdout; `service` is on every line. Secrets are replaced wherever headers or bodies are logged. */
export function createLogger(service: string, level: string, sinks?: LogSinks): Logger {
  if (sinks === undefined) return pino(optionsFor(service, level));
  const log = pino(optionsFor(service, level), toAll(sinks.logs));
  sinks.onNews(({ sink, state, reason }) => {
    if (state === 'trouble') log.warn({ sink, reason }, 'log sink does not take lines; they are kept');
    else log.info({ sink }, 'log sink takes lines again');
  });
  return log;
}

/** Audit entries as log lines, `{"audit": {…}}`, for the sinks that want them; undefined where none does. */
export function createAuditLog(
  service: string,
  sinks: LogSinks,
): ((entry: Record<string, unknown>) => void) | undefined {
  if (sinks.audit.length === 0) return undefined;
  const log = pino(optionsFor(service, 'info'), toAll(sinks.audit));
  return (audit) => log.info({ audit }, 'audit');
}

function toAll(streams: LogSinks['logs']) {
  const [only] = streams;
  return only !== undefined && streams.length === 1
    ? only
    : pino.multistream(streams.map((stream) => ({ stream, level: 'trace' as const })));
}
