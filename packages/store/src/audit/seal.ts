import type { Sql } from '../client.ts';
import { chainStart, entryDigest, sealHash, type ChainedEntry, type Seal } from './chain.ts';

/** Where the chain ends now. */
export type ChainHead = { number: number; hash: string; total: number };

type LastSeal = { number: number; cluster: string; horizon: number; total: number; hash: Buffer };
type Pending = { horizon: number; cluster: string; entries: ChainedEntry[] };

const batch = 5_000;

/**
 * Seals the entries that are not sealed yet: all of transactions older than the oldest one still open, so that what
 * commits late finds a later seal and nothing is skipped. Two sealers at once cannot fork the chain: the number is a
 * key, and the second one tries again. Returns the new head; null when there was nothing to seal.
 */
export async function sealAudit(sql: Sql): Promise<ChainHead | null> {
  const last = await lastSeal(sql);
  const { horizon, cluster, entries } = await pendingEntries(sql, last);
  if (entries.length === 0) return null;
  const seal = {
    number: (last?.number ?? 0) + 1,
    sealedAt: new Date(),
    entries: entries.map(({ id }) => id),
    digests: Buffer.concat(entries.map(entryDigest)),
    total: (last?.total ?? 0) + entries.length,
    previous: last?.hash ?? chainStart,
  } satisfies Omit<Seal, 'hash'>;
  const hash = sealHash(seal);
  const { count } = await sql`
    INSERT INTO audit_seals (number, sealed_at, cluster, horizon, entries, digests, total, previous, hash)
    VALUES (${seal.number}, ${seal.sealedAt}, ${cluster}, ${horizon}, ${seal.entries}::uuid[], ${seal.digests},
            ${seal.total}, ${seal.previous}, ${hash})
    ON CONFLICT DO NOTHING`;
  return count === 0 ? null : { number: seal.number, hash: hash.toString('hex'), total: seal.total };
}

/** The newest seal; null before the first one. */
export async function readChainHead(sql: Sql): Promise<ChainHead | null> {
  const last = await lastSeal(sql);
  return last && { number: last.number, hash: last.hash.toString('hex'), total: last.total };
}

async function lastSeal(sql: Sql): Promise<LastSeal | null> {
  const [seal] = await sql<LastSeal[]>`
    SELECT number, cluster::text, horizon, total, hash FROM audit_seals ORDER BY number DESC LIMIT 1`;
  return seal ?? null;
}

async function pendingEntries(sql: Sql, last: LastSeal | null): Promise<Pending> {
  const from = last?.horizon ?? 0;
  const [server] = await sql<{ cluster: string; moved: boolean; since: Date | null }[]>`
    SELECT system_identifier::text AS cluster,
           EXISTS (SELECT FROM audit_seals WHERE cluster <> system_identifier) AS moved,
           (SELECT min(sealed_at) FROM audit_seals WHERE cluster = system_identifier) AS since
    FROM pg_control_system()`;
  if (server === undefined) throw new Error('the server does not say who it is');
  const { cluster, moved, since } = server;
  // Restored from a dump into another server, which counts its transactions anew: entries from before then are told
  // by whether a seal names them.
  const unsealed = sql`a.id NOT IN (SELECT unnest(entries) FROM audit_seals)`;
  const justMoved = moved && since === null;
  const rows = await sql<(ChainedEntry & { horizon: number })[]>`
    WITH open AS (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin),
    upto AS (
      SELECT ${
        justMoved
          ? sql`open.xmin`
          : sql`least(open.xmin, (
              SELECT a.xid + 1 FROM audit_log a WHERE a.xid >= ${from} ORDER BY a.xid OFFSET ${batch - 1} LIMIT 1))`
      } AS horizon FROM open
    )
    SELECT a.id, a.at, a.action, a.actor, a.subject, a.outcome, a.details, a.personal, u.horizon
    FROM upto u JOIN audit_log a ON ${
      justMoved
        ? sql`(a.xid < u.horizon OR a.xid >= ${from}) AND ${unsealed}`
        : sql`a.xid >= ${from} AND a.xid < u.horizon ${moved ? sql`AND (a.at >= ${since} OR ${unsealed})` : sql``}`
    }
    ORDER BY a.id`;
  return { cluster, horizon: rows[0]?.horizon ?? from, entries: rows };
}
