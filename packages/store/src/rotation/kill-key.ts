import type { Db } from '../client.ts';

/** When it was killed, now or before; the first reason stays. */
export async function killKey(
  db: Db,
  { kid, reason, by }: { kid: string; reason: string; by: string | null },
): Promise<Date> {
  const [killed] = await db<{ at: Date }[]>`
    INSERT INTO killed_keys (kid, reason, killed_by) VALUES (${kid}, ${reason}, ${by})
    ON CONFLICT (kid) DO NOTHING RETURNING killed_at AS at`;
  if (killed !== undefined) return killed.at;
  const [before] = await db<{ at: Date }[]>`SELECT killed_at AS at FROM killed_keys WHERE kid = ${kid}`;
  if (before === undefined) throw new Error('a killed key is neither new nor known');
  return before.at;
}
