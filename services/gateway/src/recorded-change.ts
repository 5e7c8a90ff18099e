import type { Db } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import { markAudited, operatorOf } from './audit-trail.ts';
import type { Deps } from './deps.ts';

/** What was done, for the audit log; who did it, and by what request, is added. */
type Record = (entry: { action: string; subject?: string; details?: { [name: string]: unknown } }) => Promise<void>;

/**
 * Makes an administrator's change in Postgres and its one entry in the audit log, in one transaction. What is thrown
 * undoes both, and the refusal is recorded like that of any request.
 */
export async function recordedChange<T>(
  { sql, audit }: Pick<Deps, 'sql' | 'audit'>,
  request: FastifyRequest,
  work: (tx: Db, record: Record) => Promise<T>,
): Promise<T> {
  const { id: actor, details: by } = operatorOf(request);
  const result = await audit.change(sql, (tx, record) =>
    work(tx, ({ details, ...what }) => record({ ...what, actor, outcome: 'success', details: { ...details, ...by } })),
  );
  markAudited(request);
  return result;
}
