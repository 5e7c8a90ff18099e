import { createHash, timingSafeEqual } from 'node:crypto';
import { FlowstateError } from '@flowstate/contracts';

/** Compares two secrets in a time that tells nothing about where, or in length, they differ. */
export function secretsEqual(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((secret) => createHash('sha256').update(secret).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}

/** The token of an `Authorization: Bearer` header; undefined for any other (RFC 6750). */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1];
}

/** Metrics are open unless METRICS_TOKEN is set; then they need it as bearer. Throws `invalid_token`. */
export function checkMetricsToken(authorization: string | undefined, expected: string | undefined): void {
  if (expected === undefined) return;
  if (!secretsEqual(authorization ?? '', `Bearer ${expected}`)) {
    throw new FlowstateError('invalid_token', 'Metrics need the bearer METRICS_TOKEN');
  }
}
