import type { Db } from '../client.ts';

/** Whether one process obeys a containment. */
export type Obedience = {
  kind: 'gateway' | 'worker';
  id: number;
  host: string;
  pid: number;
  /** Null: not yet. */
  obeyedAt: Date | null;
  streams: number;
  /** Milliseconds since it was last heard of. */
  silentMs: number;
};

/**
 * Every process that serves requests or runs, with its answer; `epoch` is the policy epoch by which a worker has let go
 * of everything that was taken from it. A gateway that was not heard of for a minute is gone.
 */
export async function readObedience(
  db: Db,
  { containmentId, epoch }: { containmentId: string; epoch: number },
): Promise<Obedience[]> {
  return db<Obedience[]>`
    SELECT 'gateway' AS kind, g.id, g.host, g.pid, a.at AS "obeyedAt", coalesce(a.streams, 0) AS streams,
           (extract(epoch FROM clock_timestamp() - g.seen_at) * 1000)::float8 AS "silentMs"
    FROM gateways g LEFT JOIN containment_acks a ON a.gateway_id = g.id AND a.containment_id = ${containmentId}
    WHERE g.ended_at IS NULL AND g.seen_at > now() - interval '1 minute'
    UNION ALL
    SELECT 'worker', w.id, w.host, w.pid, CASE WHEN w.obeyed_epoch >= ${epoch} THEN w.obeyed_at END, 0,
           (extract(epoch FROM clock_timestamp() - w.heartbeat_at) * 1000)::float8
    FROM workers w WHERE w.ended_at IS NULL
    ORDER BY kind, id`;
}
