import { callbackify } from 'node:util';
import type { Principal } from '@flowstate/contracts';
import type { AuditEntry, Operator } from '@flowstate/security';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { principalOf } from './access.ts';
import type { Deps } from './deps.ts';
import type { App } from './gateway-app.ts';

/**
 * Requests of which every one is recorded, by the name of what they do. Whoever is refused is recorded on any route.
 * A run's start is not among them: the run's own row says who started it, when and as what, and there are thousands
 * of them a second.
 */
export const auditedRoutes: Readonly<Record<string, string>> = {
  'POST /api/runs/:id/cancel': 'run.cancel',
  'POST /api/runs/:id/retry': 'run.retry',
  'POST /api/runs/:id/fork': 'run.fork',
  'POST /api/runs/:id/signals/:name': 'run.signal',
  'POST /api/runs/:id/resolve': 'run.resolve',
  'POST /api/runs/:id/webhook/redeliver': 'run.redeliver',
  'POST /api/approvals': 'approval.ask',
  'POST /api/approvals/:id/decision': 'approval.decide',
  'POST /api/webhooks': 'webhook.send',
  'POST /api/customers/:id/follow-ups': 'follow-up.create',
  'POST /api/schedules': 'schedule.create',
  'PATCH /api/schedules/:id': 'schedule.change',
  'DELETE /api/schedules/:id': 'schedule.delete',
  'POST /api/schedules/:id/trigger': 'schedule.trigger',
  'POST /api/auth/logout': 'auth.logout',
  'POST /admin/logout': 'auth.logout',
  'POST /api/auth/password': 'auth.password',
  'DELETE /api/auth/sessions/:id': 'auth.session_end',
  'POST /api/search/recommendations/:id/feedback': 'recommendation.feedback',
  'POST /api/import': 'data.import',
  'DELETE /api/documents': 'data.delete',
  'DELETE /api/documents/:id': 'data.delete',
  'POST /api/internal/run-tokens': 'run.token',
};
/**
 * Where whatever changes something is recorded, known by name or not, and answered only once that is committed. Handlers
 * that change Postgres record it themselves, in the same transaction (`recordedChange`).
 */
const watched = [
  { prefix: '/api/admin/', action: 'admin.change' },
  { prefix: '/admin/queues/', action: 'queues.change' },
];

/**
 * Records what principals do, when the answer is known. One place, by route, so that a new way to do something cannot
 * forget it; logins and failed authentications, which have no principal yet, are recorded where they are decided.
 */
export function auditRequests(app: App, { sql, audit }: Pick<Deps, 'sql' | 'audit'>): void {
  app.decorateRequest('audited', false);
  const recording = callbackify(record);
  // Of most requests nothing is recorded: those wait for no promise.
  app.addHook('onSend', (request, reply, _payload, done) => {
    const entry = entryOf(request, reply);
    if (entry === null) return done();
    recording(entry, isWatched(request) !== undefined && reply.statusCode < 400, done);
  });

  async function record(entry: AuditEntry, isChange: boolean): Promise<void> {
    if (!isChange) return audit.record(entry);
    // What was changed outside Postgres (a queue's jobs) is done: its entry must not be the one thing a crash forgets.
    await audit.change(sql, (_tx, record) => record(entry)).catch(() => audit.record(entry));
  }
}

function entryOf(request: FastifyRequest, reply: FastifyReply): AuditEntry | null {
  const { principal, method } = request;
  const route = request.routeOptions.url;
  // Its handler wrote the entry itself, with what it did, in the transaction that did it.
  if (route === undefined || request.audited) return null;
  const { statusCode: status } = reply;
  const byWorker = route === '/api/internal/run-tokens' && status !== 401;
  if (principal === null && !byWorker) return null;
  const via = principal?.via ?? {};
  const agent = 'run' in via ? 'agent.call' : undefined;
  const known = auditedRoutes[`${method} ${route}`] ?? isWatched(request) ?? agent;
  if (known === undefined && status !== 403) return null;
  const subject = subjectOf(request, reply);
  return {
    action: known ?? 'access.denied',
    actor: principal?.id ?? null,
    ...(subject !== undefined && { subject }),
    outcome: status < 400 ? 'success' : status === 401 || status === 403 ? 'denied' : 'failed',
    details: {
      method,
      route,
      requestId: request.id,
      ...(status >= 400 && { status }),
      ...credentialOf(via),
    },
  };
}

/** The handler has recorded what this request did: nothing is left to say. */
export function markAudited(request: FastifyRequest): void {
  request.audited = true;
}

/** Who makes a request, and by what, for entries their handler writes itself. */
export function operatorOf(request: FastifyRequest): Operator {
  const { id, via } = principalOf(request);
  return { id, details: { ...credentialOf(via), requestId: request.id } };
}

function credentialOf(via: Principal['via'] | Record<string, never>): Record<string, unknown> {
  return {
    ...('session' in via && { session: via.session }),
    ...('apiKey' in via && { keyId: via.apiKey }),
    ...('run' in via && { run: via.run }),
  };
}

/** A change where all changes count. */
function isWatched({ method, routeOptions: { url = '' } }: FastifyRequest): string | undefined {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return undefined;
  return watched.find(({ prefix }) => url.startsWith(prefix))?.action;
}

/** The run that was started, else what the path names. */
function subjectOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const location = reply.getHeader('location');
  if (typeof location === 'string' && location.startsWith('/api/runs/')) return location.slice('/api/runs/'.length);
  const { id, jobId, name } = (request.params ?? {}) as { id?: string; jobId?: string; name?: string };
  const { runId } = (request.body ?? {}) as { runId?: unknown };
  return id ?? jobId ?? name ?? (typeof runId === 'string' ? runId : undefined);
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What it did stands in the audit log already. */
    audited: boolean;
  }
}
