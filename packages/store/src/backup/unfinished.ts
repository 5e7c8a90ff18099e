import type { Db } from '../client.ts';

/** What a backup holds, or a restore has brought: runs that are accepted and not finished, and those that are. */
export async function countRuns(db: Db): Promise<{ at: Date; unfinished: number; finished: number }> {
  const [row] = await db<{ at: Date; unfinished: number; finished: number }[]>`
    SELECT now() AS at, (SELECT count(*) FROM run_live)::int AS unfinished,
           (SELECT count(DISTINCT id) FROM run_ends)::int AS finished`;
  if (row === undefined) throw new Error('SELECT of counts gave no row');
  return row;
}

/** Services that are connected to this database, by the names they give themselves. */
export async function servicesOn(db: Db): Promise<string[]> {
  const rows = await db<{ name: string }[]>`
    SELECT DISTINCT application_name AS name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ '^flowstate-(gateway|worker|controller|leader)' ORDER BY 1`;
  return rows.map(({ name }) => name);
}

/** Whether there is anything of ours, so that nothing is restored over it. */
export async function hasSchema(db: Db): Promise<boolean> {
  const [row] = await db<{ there: boolean }[]>`SELECT to_regclass('public.schema_migrations') IS NOT NULL AS there`;
  return row?.there === true;
}
