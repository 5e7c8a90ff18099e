import { advisoryLocks } from '../advisory-locks.ts';
import type { Db } from '../client.ts';

/** Takes the leader's lock for this session, or finds it held by it already; false while another session has it. */
export async function tryLeaderLock(session: Db): Promise<boolean> {
  const [row] = await session<{ held: boolean }[]>`
    SELECT CASE WHEN EXISTS (
      SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
        AND (classid::bigint << 32) + objid::bigint = ${advisoryLocks.leader} AND granted
    ) THEN true ELSE pg_try_advisory_lock(${advisoryLocks.leader}) END AS held`;
  return row?.held ?? false;
}
