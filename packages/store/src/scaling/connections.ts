import type { Db } from '../client.ts';

/** Connections that this Postgres lets ordinary users have, all together. */
export async function connectionsAllowed(db: Db): Promise<number> {
  const [row] = await db<{ allowed: number }[]>`
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS allowed`;
  return row?.allowed ?? 0;
}
