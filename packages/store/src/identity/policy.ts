import type { Db } from '../client.ts';

/** What every gateway must know within a second, Redis or not. */
export type Policy = {
  /** Rises with every change of access. */
  epoch: number;
  /** Sessions revoked in the last `revocationsKeptSeconds`. */
  revoked: string[];
};

/** Longer than any gateway trusts a session copy without looking at Postgres. */
export const revocationsKeptSeconds = 180;

export async function readPolicy(db: Db): Promise<Policy> {
  const [row] = await db<Policy[]>`
    SELECT epoch, ARRAY(
      SELECT id FROM sessions WHERE revoked_at > now() - ${revocationsKeptSeconds} * interval '1 second'
    ) AS revoked FROM policy`;
  if (row === undefined) throw new Error('the policy row is missing');
  return row;
}
