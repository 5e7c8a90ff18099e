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
  const code = codeOf(error);
  return /^(08|53|57P|25006|CONNECTION_|CONNECT_TIMEOUT)/.test(code) || socketCodes.has(code);
}

/**
 * Has Postgres undone the transaction because it and others were in each other's way (SQLSTATE 40P01, deadlock; 40001,
 * serialization)? The same again may succeed.
 */
export function isUndoneForOthers(error: unknown): boolean {
  return ['40P01', '40001'].includes(codeOf(error));
}

/** Is it the row's own fault (SQLSTATE classes 22, data; 23, constraint; 54, limits)? No later try would store it. */
export function isRowFault(error: unknown): boolean {
  return /^(22|23|54)/.test(codeOf(error));
}

/** Do others hold what a statement wanted at once, or not for long (SQLSTATE 55P03)? */
export function isLocked(error: unknown): boolean {
  return codeOf(error) === '55P03';
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
