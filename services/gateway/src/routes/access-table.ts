import { roles, runStarters, type ApiKeyScope, type Role } from '@flowstate/contracts';
import type { AccessTable, ClosedToRuns, ScopedRoutes } from '../access-rows.ts';
import type { Permissions } from '../access-rules.ts';

/** `why` no run may call it, whatever its agents were talked into and whoever they act for. */
const closed = (allowed: readonly Role[], why: string): ClosedToRuns => ({ roles: allowed, closedToRuns: why });

const any = roles;
const staff = ['admin', 'manager', 'agent', 'integration'] as const;
const operate = runStarters;
const readRuns = ['admin', 'manager', 'analyst', 'agent', 'integration', 'service'] as const;
// Its authority ends with its worker's claim, at any moment: what is asked once may go on no longer.
const followRuns = closed(readRuns, 'A run follows no events');
const readData = [...staff, 'analyst'] as const;
const feed = ['admin', 'manager', 'integration', 'service'] as const;
// It opens no collection to others and deletes none.
const changeCollections = closed(feed, 'A run may not change collections');
const plan = ['admin', 'manager'] as const;
// It would leave behind what starts runs after its end, or start one in another's name by a schedule of theirs.
const changeSchedules = closed(plan, 'A run may not change schedules');
/** Who may look at the queues, and enter their page. */
export const watchQueues = ['admin', 'manager', 'analyst'] as const;
const steerQueues = ['admin'] as const;
// What somebody must answer for is decided by them, never by an agent in their name.
const settle = closed(['admin', 'manager'], 'A person decides, never a run');
const scale = ['admin', 'service'] as const;
const search = [...roles];
const administer = closed(['admin'], 'A run may not administer');
const ownLogins = closed(any, 'A run has no logins to look after');
const noPages = 'A run has no browser';
const leavePage = closed(any, noPages);
const watchPage = closed(watchQueues, noPages);
const steerPage = closed(steerQueues, noPages);

/** Names by which a lockdown takes several routes at once: all rows below that state the same list, closed to runs or not. */
export const permissions: Permissions = {
  'runs:operate': operate,
  'runs:read': readRuns,
  'runs:settle': settle.roles,
  'documents:feed': feed,
  'data:read': readData,
  'data:write': staff,
  search,
  'queues:watch': watchQueues,
  'queues:steer': steerQueues,
  'scaling:read': scale,
  administer: administer.roles,
};

/** Who may call what, and what no run may. A route that is not in this table does not boot. */
export const access: AccessTable = {
  'GET /api/health': 'open',
  'GET /api/ready': 'open',
  'GET /api/metrics': 'open', // bearer METRICS_TOKEN when it is set
  'GET /api/openapi.json': 'open',
  'GET /api/docs': 'open',
  'GET /api/docs/*': 'open',

  'POST /api/auth/login': 'open',
  'POST /api/auth/refresh': 'open',
  'POST /api/auth/logout': ownLogins,
  'GET /api/auth/me': any,
  'POST /api/auth/password': ownLogins,
  'GET /api/auth/sessions': ownLogins,
  'DELETE /api/auth/sessions/:id': ownLogins,

  'GET /api/workflows': any,
  'GET /api/workflows/:name': any,
  'POST /api/workflows/:name/runs': operate,
  'GET /api/runs': readRuns,
  'GET /api/runs/:id': readRuns,
  'GET /api/runs/:id/steps': readRuns,
  'GET /api/runs/:id/events': followRuns,
  'GET /api/runs/:id/explain': readRuns,
  'GET /api/runs/:id/webhook': readRuns,
  'GET /api/runs/:id/payloads/:ref': readRuns,
  'POST /api/runs/cancel': operate,
  'POST /api/runs/retry': operate,
  'POST /api/runs/:id/cancel': operate,
  'POST /api/runs/:id/retry': operate,
  'POST /api/runs/:id/fork': operate,
  'POST /api/runs/:id/signals/:name': operate,
  'POST /api/runs/:id/webhook/redeliver': operate,
  'POST /api/runs/:id/resolve': settle,

  'POST /api/approvals': operate,
  'GET /api/approvals': readRuns,
  'GET /api/approvals/:id': readRuns,
  'POST /api/approvals/:id/decision': settle,
  'POST /api/webhooks': operate,
  'POST /api/evaluations': operate,
  'GET /api/evaluations': readRuns,
  'GET /api/evaluations/:id': readRuns,

  'POST /api/schedules': changeSchedules,
  'GET /api/schedules': plan,
  'GET /api/schedules/:id': plan,
  'PATCH /api/schedules/:id': changeSchedules,
  'DELETE /api/schedules/:id': changeSchedules,
  'POST /api/schedules/:id/trigger': changeSchedules,

  'POST /api/documents': feed,
  'GET /api/documents': feed,
  'DELETE /api/documents': feed,
  'PUT /api/documents/embeddings': feed,
  'GET /api/documents/:id': feed,
  'DELETE /api/documents/:id': feed,
  'POST /api/search/semantic': search,
  'POST /api/search/hybrid': search,
  'GET /api/search/similar/:documentId': search,
  'POST /api/search/recommendations': search,
  'POST /api/search/recommendations/:id/feedback': search,
  'GET /api/collections': search,
  'GET /api/collections/:name': search,
  'PUT /api/collections/:name': changeCollections,
  'DELETE /api/collections/:name': changeCollections,
  'POST /api/collections/:name/reindex': changeCollections,
  'DELETE /api/collections/:name/reindex': changeCollections,
  'GET /api/collections/:name/reindex/documents': feed,
  'POST /api/collections/:name/reindex/switch': feed,
  'PUT /api/collections/:name/grants/:kind/:grantee': changeCollections,
  'DELETE /api/collections/:name/grants/:kind/:grantee': changeCollections,

  'GET /api/customers': readData,
  'POST /api/customers': staff,
  'GET /api/customers/:id': readData,
  'GET /api/customers/:id/interactions': readData,
  'GET /api/customers/:id/opportunities': readData,
  'GET /api/customers/:id/integrations': readData,
  'GET /api/customers/:id/follow-ups': readData,
  'POST /api/customers/:id/follow-ups': staff,
  'GET /api/interactions': readData,
  'POST /api/interactions': staff,
  'GET /api/opportunities': readData,
  'POST /api/opportunities': staff,
  'GET /api/opportunities/base-rates': readData,
  'GET /api/integrations': readData,
  'POST /api/integrations': staff,
  'POST /api/import': staff,

  'GET /api/usage': readRuns,

  'GET /api/scaling/:queue': scale,

  'GET /api/admin/audit': administer,
  'GET /api/admin/audit/export': administer,
  'GET /api/admin/audit/verify': administer,
  'POST /api/admin/audit/erase': administer,
  'GET /api/admin/incidents/events': administer,
  'POST /api/admin/incidents/notices': administer,
  'POST /api/admin/incidents/tasks': administer,
  'GET /api/admin/budgets': administer,
  'PUT /api/admin/budgets': administer,
  'DELETE /api/admin/budgets': administer,
  'GET /api/admin/limits': administer,
  'PUT /api/admin/limits': administer,
  'DELETE /api/admin/limits': administer,
  'GET /api/admin/queues': administer,
  'POST /api/admin/queues/:queue/pause': administer,
  'POST /api/admin/queues/:queue/resume': administer,
  'GET /api/admin/scaling': administer,
  'PUT /api/admin/scaling/:queue/override': administer,
  'DELETE /api/admin/scaling/overrides': administer,
  'GET /api/admin/gateways': administer,
  'GET /api/admin/workers': administer,
  'GET /api/admin/users': administer,
  'POST /api/admin/users': administer,
  'GET /api/admin/users/:id': administer,
  'PATCH /api/admin/users/:id': administer,
  'GET /api/admin/keys': administer,
  'POST /api/admin/keys': administer,
  'DELETE /api/admin/keys/:id': administer,
  'GET /api/admin/secrets': administer,
  'PUT /api/admin/secrets/:name': administer,
  'GET /api/admin/signing-keys': administer,
  'POST /api/admin/signing-keys/rehearse': administer,
  'POST /api/admin/signing-keys/:kid/kill': administer,
  'GET /api/admin/sessions': administer,
  'DELETE /api/admin/sessions': administer,
  'DELETE /api/admin/sessions/:id': administer,
  'POST /api/admin/sessions/verify': administer,
  'GET /api/admin/flags': administer,
  'PUT /api/admin/flags/:name': administer,
  'DELETE /api/admin/flags/:name': administer,
  'GET /api/admin/log-levels': administer,
  'PUT /api/admin/log-levels': administer,
  'DELETE /api/admin/log-levels': administer,
  'GET /api/admin/cache': administer,
  'POST /api/admin/cache/clear': administer,
  'GET /api/admin/access': administer,
  'POST /api/admin/access': administer,
  'DELETE /api/admin/access/:id': administer,
  'GET /api/admin/access/routes': administer,
  'GET /api/admin/access/owners': administer,
  'PUT /api/admin/access/owners/:role': administer,
  'GET /api/admin/contain': administer,
  'POST /api/admin/contain': administer,
  'POST /api/admin/contain/release': administer,

  'POST /api/internal/run-tokens': 'worker',

  'GET /admin/login': 'open',
  'POST /admin/login': 'open',
  'GET /admin/logout': leavePage,
  'POST /admin/logout': leavePage,
  'GET /admin/queues': watchPage,
  'GET /admin/queues/*': watchPage,
  'PUT /admin/queues/*': steerPage,
  'POST /admin/queues/*': steerPage,
  'PATCH /admin/queues/*': steerPage,
  'DELETE /admin/queues/*': steerPage,
};

/** What an API key without the scope `api` may call. */
export const scopedRoutes: ScopedRoutes = { 'GET /api/scaling/:queue': 'scaling:read' satisfies ApiKeyScope };
