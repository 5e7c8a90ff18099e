import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { BenchStores } from './stores.ts';
import { shown, tableOf } from './table.ts';

type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
};

/** The functions of a V8 CPU profile in which most time was spent themselves. */
export async function topFunctions(file: string, limit = 15): Promise<string> {
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, 'utf8')) as Profile;
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const self = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = frames.get(id) ?? '?';
    self.set(name, (self.get(name) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  }
  const busy = [...self].filter(([name]) => name !== '(idle)');
  const total = busy.reduce((sum, [, ms]) => sum + ms, 0);
  const top = busy.toSorted(([, a], [, b]) => b - a).slice(0, limit);
  return tableOf(
    [basename(file), 'self ms', '% of busy'],
    top.map(([name, ms]) => [name, shown(ms), shown((ms / total) * 100)]),
  );
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const place = url
    .replace(/^file:\/\//, '')
    .replace(/^.*\/node_modules\//, '')
    .split('/')
    .slice(-4)
    .join('/');
  return `${functionName || '(anonymous)'}${place ? ` ${place}:${lineNumber + 1}` : ''}`;
}

type Statement = { calls: number; ms: number; planMs: number; rows: number; walBytes: number; query: string };

/** The statements on which the server spent most time since the last reset. */
export async function topStatements({ admin }: BenchStores, database: string, limit = 15): Promise<string> {
  const rows = await admin<Statement[]>`
    SELECT calls, total_exec_time AS ms, total_plan_time AS "planMs", rows, wal_bytes AS "walBytes",
           regexp_replace(query, '\\s+', ' ', 'g') AS query
    FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid
    WHERE d.datname = ${database} ORDER BY total_exec_time + total_plan_time DESC LIMIT ${limit}`;
  return tableOf(
    ['statement', 'calls', 'total ms', 'plan ms', 'ms a call', 'rows a call', 'WAL B a row'],
    rows.map(({ calls, ms, planMs, rows: count, walBytes, query }) => [
      query.slice(0, 110),
      shown(calls),
      shown(ms),
      shown(planMs),
      shown(ms / calls),
      shown(count / calls),
      shown(count === 0 ? null : walBytes / count),
    ]),
  );
}
