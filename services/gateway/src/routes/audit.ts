import {
  AuditEraseAnswer,
  AuditEraseBody,
  AuditExportQuery,
  AuditQuery,
  AuditRecord,
  AuditVerdict,
  AuditVerifyQuery,
  Page,
} from '@flowstate/contracts';
import { eraseFromAudit } from '@flowstate/security';
import { exportAudit, listAudit, verifyAudit, type AuditFilter, type Sql, type StoredAudit } from '@flowstate/store';
import { markAudited, operatorOf } from '../audit-trail.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readTimeCursor, toPage, toTimeCursor } from '../list-page.ts';

/** Reading the audit log, proving it untouched, and erasing what it knows about a person. */
export function auditRoutes(app: App, { sql, audit, streams }: Pick<Deps, 'sql' | 'audit' | 'streams'>): void {
  const tags = ['admin'];

  app.get(
    '/api/admin/audit',
    {
      schema: {
        tags,
        summary: 'Who did what, newest first',
        querystring: AuditQuery,
        response: { 200: Page(AuditRecord) },
      },
    },
    async (request) => {
      const { limit = 50, cursor, ...filter } = request.query;
      await audit.settled(); // what came before this request is in its answer
      const found = await listAudit(sql, { ...filter, before: readTimeCursor(cursor), limit: limit + 1 });
      return toPage(found.map(toRecord), limit, toTimeCursor);
    },
  );

  app.get(
    '/api/admin/audit/export',
    {
      schema: {
        tags,
        summary: 'Entries of a time as JSON lines, oldest first',
        querystring: AuditExportQuery,
        produces: ['application/x-ndjson'],
      },
    },
    async (request, reply) => {
      await audit.settled();
      const lines = exportLines(sql, request.query);
      return reply.type('application/x-ndjson').send(streams.readWhileAllowed(request, lines));
    },
  );

  app.get(
    '/api/admin/audit/verify',
    {
      config: { deadlineMs: 5 * 60_000 }, // it reads every entry there is
      schema: {
        tags,
        summary: 'Recompute the hash chain and name whatever was changed, removed or inserted',
        querystring: AuditVerifyQuery,
        response: { 200: AuditVerdict },
      },
    },
    async (request) => verifyAudit(sql, request.query),
  );

  app.post(
    '/api/admin/audit/erase',
    {
      schema: {
        tags,
        summary: "Erase a person's address, e-mail and user agent from the log; its entries and the chain stay",
        body: AuditEraseBody,
        response: { 200: AuditEraseAnswer },
      },
    },
    async (request) => {
      const { subject } = request.body;
      const answer = await eraseFromAudit({ sql, changeAudited: audit.change }, { subject, by: operatorOf(request) });
      markAudited(request);
      return answer;
    },
  );
}

async function* exportLines(sql: Sql, filter: AuditFilter): AsyncGenerator<string> {
  for await (const page of exportAudit(sql, filter)) {
    yield page.map((entry) => `${JSON.stringify(toRecord(entry))}\n`).join('');
  }
}

function toRecord(entry: StoredAudit): AuditRecord {
  return { ...entry, at: entry.at.toISOString() };
}
