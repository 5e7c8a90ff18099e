import type { Db } from '../client.ts';

/** Which of `ids` have not ended. */
export async function stillLive(db: Db, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db<{ id: string }[]>`SELECT id FROM run_live WHERE id = ANY(${ids}::uuid[])`;
  return new Set(rows.map(({ id }) => id));
}
