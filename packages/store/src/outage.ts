const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);

/**
 * Is the database away (rather than the statement wrong)? SQLSTATE classes 08 (connection), 53 (resources),
 * 57P (shutdown, starting up), 25006 (read-only after a failover), the client's own codes, and socket errors.
 */
export function isDatabaseOutage(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return false;
  return /^(08|53|57P|25006|CONNECTION_|CONNECT_TIMEOUT)/.test(code) || socketCodes.has(code);
}

/**
 * Has Postgres undone the transaction because it and others were in each other's way (SQLSTATE 40P01, deadlock; 40001,
 * serialization)? The same again may succeed.
 */
export function isUndoneForOthers(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === '40P01' || code === '40001';
}
