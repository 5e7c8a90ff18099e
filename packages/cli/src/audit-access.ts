import type { AuditEraseAnswer, AuditRecord, AuditVerdict } from '@flowstate/contracts';
import type { AuditFilter, StoredAudit } from '@flowstate/store';
import { connect, databaseUrl, type ConnectionOptions } from './connection.ts';
import { directOperator } from './direct-stores.ts';
import { CommandError, type Terminal } from './terminal.ts';

type Filter = Record<string, string>;

/** The audit log, whichever way it is reached. */
export type AuditAccess = {
  list(filter: Filter, limit: number): Promise<AuditRecord[]>;
  /** JSON lines, some at a time. */
  export(filter: Filter): AsyncIterable<string>;
  verify(head: string | undefined): Promise<AuditVerdict>;
  erase(subject: string): Promise<AuditEraseAnswer>;
  close(): Promise<void>;
};

export async function createAuditAccess(
  options: ConnectionOptions & { direct?: boolean },
  terminal: Terminal,
): Promise<AuditAccess> {
  return options.direct ? direct(await databaseUrl(terminal)) : throughApi(options, terminal);
}

async function throughApi(options: ConnectionOptions, terminal: Terminal): Promise<AuditAccess> {
  const client = await connect(options, terminal);
  const path = (rest: string, query: Filter) => `/api/admin/audit${rest}?${new URLSearchParams(query).toString()}`;
  return {
    async list(filter, limit) {
      const page = await client.request<{ items: AuditRecord[] }>('GET', path('', { ...filter, limit: String(limit) }));
      return page.items;
    },
    async *export(filter) {
      yield* (await client.stream('GET', path('/export', filter))).pipeThrough(new TextDecoderStream());
    },
    verify: (head) => client.request('GET', path('/verify', head === undefined ? {} : { head })),
    erase: (subject) => client.request('POST', '/api/admin/audit/erase', { json: { subject } }),
    close: () => client.close(),
  };
}

/** Past the gateway: whoever has the database's address needs no other permission. */
async function direct(url: string): Promise<AuditAccess> {
  // Here and not above: the stores take longest to load, and the way through the gateway does without.
  const { createAuditedChange, eraseFromAudit } = await import('@flowstate/security');
  const { createSql, exportAudit, listAudit, verifyAudit } = await import('@flowstate/store');
  const sql = createSql(url, { name: 'flowstate-cli', max: 1 });
  const toRecord = (entry: StoredAudit): AuditRecord => ({ ...entry, at: entry.at.toISOString() });
  return {
    list: async (filter, limit) =>
      (await listAudit(sql, { ...(filter as AuditFilter), limit }).catch(refused)).map(toRecord),
    async *export(filter) {
      try {
        for await (const page of exportAudit(sql, filter)) {
          yield page.map((entry) => `${JSON.stringify(toRecord(entry))}\n`).join('');
        }
      } catch (error) {
        refused(error);
      }
    },
    verify: (head) => verifyAudit(sql, { head }).catch(refused),
    erase: (subject) =>
      eraseFromAudit({ sql, changeAudited: createAuditedChange() }, { subject, by: directOperator() }).catch(refused),
    close: () => sql.end({ timeout: 1 }),
  };
}

function refused(error: unknown): never {
  const { message, code } = error as Error & { code?: string };
  throw new CommandError(`Postgres (DATABASE_URL): ${message || code}`);
}
