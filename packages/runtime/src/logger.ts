import { activeIds } from '@flowstate/tracing';
import { pino, type Logger, type LoggerOptions } from 'pino';
import { logContext } from './log-context.ts';
import type { LogSinks } from './log-sinks/log-sinks.ts';
import { redactLine, redactPersonal } from './redact.ts';
import { hearTelemetry } from './telemetry-news.ts';

export type { Logger } from 'pino';

const clean = (line: string) => redactPersonal(redactLine(line));

const optionsFor = (service: string, level: string, streamWrite = clean): LoggerOptions => ({
  level,
  base: { service },
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
  // Whose request or run it is, and in which trace, stands on every line that has to do with one.
  mixin: () => ({ ...activeIds(), ...logContext() }),
  hooks: { streamWrite },
});

/** JSON lines to the sinks, or stdout; `service` is on every line, no secret and nobody's address on any. */
export function createLogger(service: string, level: string, sinks?: LogSinks): Logger {
  if (sinks === undefined) return pino(optionsFor(service, level));
  const log = pino(optionsFor(service, level), toAll(sinks.logs));
  hearTelemetry(log);
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
  const log = pino(optionsFor(service, 'info', redactLine), toAll(sinks.audit));
  return (audit) => log.info({ audit }, 'audit');
}

function toAll(streams: LogSinks['logs']) {
  const [only] = streams;
  return only !== undefined && streams.length === 1
    ? only
    : pino.multistream(streams.map((stream) => ({ stream, level: 'trace' as const })));
}
