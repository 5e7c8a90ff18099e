import type { Sql } from '../client.ts';

/** How many runs the live workers of each host have in hand; the host of a pod is named after it. */
export async function runsByHost(sql: Sql): Promise<Map<string, number>> {
  return sql.begin(async (tx) => {
    // All live rows are read: whose they are stands in no index, so that a claim stays cheap.
    await tx`SET LOCAL enable_seqscan = on`;
    const rows = await tx<{ host: string; runs: number }[]>`
      WITH held AS (SELECT owner, count(*) AS runs FROM run_live WHERE owner IS NOT NULL GROUP BY owner)
      SELECT w.host, coalesce(sum(h.runs), 0)::int AS runs FROM workers w LEFT JOIN held h ON h.owner = w.id
      WHERE w.ended_at IS NULL GROUP BY w.host`;
    return new Map(rows.map(({ host, runs }) => [host, runs]));
  });
}
