/** `Retry-After` in milliseconds from now: seconds or an HTTP date (RFC 9110); null when it is neither. */
export function parseRetryAfter(header: string | string[] | null | undefined, now = Date.now()): number | null {
  if (typeof header !== 'string') return null;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  // Date.parse takes much for a date, `-5` for one.
  const at = /^[A-Z][a-z]{2},? /.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(at) ? null : Math.max(at - now, 0);
}
