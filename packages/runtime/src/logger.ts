import { pino, type Logger } from 'pino';

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

/** JSON lines on stdout; `service` is on every line. Secrets are replaced wherever headers or bodies are logged. */
export function createLogger(service: string, level: string): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: secrets.flatMap((name) => [name, dotted('*', name), dotted('*.headers', name)]),
      censor: '[redacted]',
    },
  });
}
