/** RFC 5424, 6.2.1. */
const severities: Record<string, number> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };
/** Audit entries are of the facility made for them (13), logs of local0. */
const facilities = { audit: 13, logs: 16 };

/**
 * A JSON log line as a syslog message, which stays its text. pino-syslog cannot be used: it wants numeric levels and
 * cuts milliseconds off.
 */
export function toSyslog(line: string, { hostname, service }: { hostname: string; service: string }): string {
  const { level, time, audit } = JSON.parse(line) as { level?: string; time?: string; audit?: unknown };
  const kind = audit === undefined ? 'logs' : 'audit';
  const priority = facilities[kind] * 8 + (severities[level ?? 'info'] ?? 6);
  const messageId = kind === 'audit' ? 'audit' : '-';
  return `<${priority}>1 ${time ?? '-'} ${hostname} ${service} ${process.pid} ${messageId} - ${line}`;
}
