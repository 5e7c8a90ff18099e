import type { Audit, AuditEntry } from '@flowstate/security';
import type { AuthFailure, OnAuthFailure } from './auth-failure.ts';

const windowMs = 1_000;
const maxWindows = 10_000;

/**
 * Records every failed authentication. The first of its kind at once; equal ones of the second after it are one more
 * entry that counts them, so that a flood costs its sender more than the log.
 */
export function createAuthFailureAudit(audit: Audit, count: (reason: AuthFailure) => void): OnAuthFailure {
  const open = new Map<string, number>();

  return (reason, { userId, sessionId, address, method, route }) => {
    count(reason);
    const entry = (repeated?: number): AuditEntry => ({
      action: 'auth.failed',
      actor: userId ?? null,
      outcome: 'denied',
      details: { reason, method, route, address, session: sessionId, repeated },
    });
    const kind = JSON.stringify([reason, address, userId, method, route]);
    const repeated = open.get(kind);
    if (repeated !== undefined) {
      open.set(kind, repeated + 1);
      return;
    }
    audit.record(entry());
    if (open.size >= maxWindows) return;
    open.set(kind, 0);
    setTimeout(() => {
      const more = open.get(kind) ?? 0;
      open.delete(kind);
      if (more > 0) audit.record(entry(more));
    }, windowMs).unref();
  };
}
