import type { Db } from '../client.ts';

/** Registers a gateway process under a number that is never used again. */
export async function registerGateway(db: Db, { host, pid }: { host: string; pid: number }): Promise<number> {
  const [row] = await db<{ id: number }[]>`
    WITH forgotten AS (DELETE FROM gateways WHERE seen_at < now() - interval '1 day')
    INSERT INTO gateways (host, pid) VALUES (${host}, ${pid}) RETURNING id`;
  if (row === undefined) throw new Error('INSERT … RETURNING gave no row');
  return row.id;
}

/** Says that it is there. */
export async function touchGateway(db: Db, id: number): Promise<void> {
  await db`UPDATE gateways SET seen_at = clock_timestamp() WHERE id = ${id}`;
}

export type StoredGateway = { id: number; host: string; pid: number; startedAt: Date; seenAt: Date };

/** Gateways that have not left and were heard of in the last fifteen seconds, the oldest first. */
export async function liveGateways(db: Db): Promise<StoredGateway[]> {
  return db<StoredGateway[]>`
    SELECT id, host, pid, started_at AS "startedAt", seen_at AS "seenAt"
    FROM gateways WHERE ended_at IS NULL AND seen_at > now() - interval '15 seconds' ORDER BY id`;
}

/** It left in order. */
export async function endGateway(db: Db, id: number): Promise<void> {
  await db`UPDATE gateways SET ended_at = now() WHERE id = ${id}`;
}

/** Says that a gateway obeys a containment, and how many of its subject's streams it closed for that. */
export async function acknowledgeContainment(
  db: Db,
  { containmentId, gatewayId, streams }: { containmentId: string; gatewayId: number; streams: number },
): Promise<void> {
  await db`
    INSERT INTO containment_acks (containment_id, gateway_id, streams) VALUES (${containmentId}, ${gatewayId}, ${streams})
    ON CONFLICT (containment_id, gateway_id) DO UPDATE SET streams = containment_acks.streams + excluded.streams`;
}
