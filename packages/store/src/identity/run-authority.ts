import type { Role } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** For whom a live run acts, and which worker may act for it. */
export type RunAuthority = {
  /** Incarnation of the worker that runs it; null while nobody does. */
  owner: number | null;
  workflow: string;
  userId: string;
  /** The owner's role now, which may differ from the one that started the run. */
  role: Role;
  /** Disabled, or contained. */
  userDisabled: boolean;
  userContained: boolean;
  epoch: number;
};

/** Null when the run is not live (unknown or over). */
export async function readRunAuthority(db: Db, runId: string): Promise<RunAuthority | null> {
  const [row] = await db<RunAuthority[]>`
    SELECT l.owner, w.name AS workflow, u.id AS "userId", u.role, u.barred AS "userDisabled",
           u.contained_at IS NOT NULL AS "userContained", p.epoch
    FROM run_live l JOIN runs r ON r.id = l.id JOIN workflows w ON w.id = r.workflow_id
    JOIN users u ON u.id = r.principal_id, policy p
    WHERE l.id = ${runId}`;
  return row ?? null;
}
