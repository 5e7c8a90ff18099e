import type { Approval } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type ApprovalFilter = {
  /** Only those a live run waits for. */
  open: boolean;
  runId?: string | undefined;
  /** Only those of this principal's runs. */
  principalId?: string | undefined;
  /** Approvals older than this id. */
  before?: string | undefined;
  limit: number;
};

/** Newest first. */
export async function listApprovals(db: Db, filter: ApprovalFilter): Promise<Approval[]> {
  const { open, runId, principalId, before, limit } = filter;
  const rows = await db<Row[]>`
    ${approvals(db)} WHERE true
      ${open ? db`AND a.decision IS NULL AND l.id IS NOT NULL` : db``}
      ${runId === undefined ? db`` : db`AND a.run_id = ${runId}`}
      ${principalId === undefined ? db`` : db`AND a.principal_id = ${principalId}`}
      ${before === undefined ? db`` : db`AND a.id < ${before}`}
    ORDER BY a.id DESC LIMIT ${limit}`;
  return rows.map(toApproval);
}

export async function readApproval(db: Db, id: string): Promise<Approval | null> {
  const [row] = await db<Row[]>`${approvals(db)} WHERE a.id = ${id}`;
  return row === undefined ? null : toApproval(row);
}

type Row = Omit<Approval, 'input' | 'inputSchema' | 'decidedInput' | 'askedAt' | 'decidedAt'> & {
  input: string;
  inputSchema: string;
  decidedInput: string | null;
  askedAt: Date;
  decidedAt: Date | null;
};

function approvals(db: Db) {
  return db`
    SELECT a.id, a.run_id AS run, a.workflow, a.step, a.tool, a.input, a.input_schema AS "inputSchema",
           a.principal_id AS "askedBy", a.asked_at AS "askedAt", a.decision IS NULL AND l.id IS NOT NULL AS open,
           a.decision, a.decided_input AS "decidedInput", a.reason, a.decided_by AS "decidedBy",
           a.decided_at AS "decidedAt"
    FROM approvals a LEFT JOIN run_live l ON l.id = a.run_id`;
}

function toApproval({ input, inputSchema, decidedInput, askedAt, decidedAt, ...rest }: Row): Approval {
  return {
    ...rest,
    input: JSON.parse(input),
    inputSchema: JSON.parse(inputSchema) as Record<string, unknown>,
    decidedInput: decidedInput === null ? null : JSON.parse(decidedInput),
    askedAt: askedAt.toISOString(),
    decidedAt: decidedAt?.toISOString() ?? null,
  };
}
