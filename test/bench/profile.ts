import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { BenchStores } from './stores.ts';
import { shown, tableOf } from './table.ts';

type Frame = { functionName: string; url: string; lineNumber: number };
type Node = { id: number; callFrame: Frame; children?: number[] };
type Profile = { nodes: Node[]; startTime: number; samples: number[]; timeDeltas: number[] };

/** A stretch of time by the machine's monotonic clock in µs, which is what V8 stamps profiles with. */
export type Stretch = { from: number; to: number };

export function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/**
 * Where a process spent its time within the stretch (loading its modules is left out), by V8's CPU profile: the
 * functions with most time of their own, and the packages on whose behalf most was spent, Node's own functions and
 * garbage collection counted for the package that called them.
 */
export async function topFunctions(file: string, stretch: Stretch, limit = 15): Promise<string> {
  const profile = JSON.parse(await readFile(file, 'utf8')) as Profile;
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const functions = new Map<string, number>();
  const packages = new Map<string, number>();
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    at += delta;
    const frame = nodes.get(id)?.callFrame;
    if (frame === undefined || frame.functionName === '(idle)' || at < stretch.from || at > stretch.to) continue;
    add(functions, nameOf(frame), delta / 1000);
    add(packages, packageOf(id), delta / 1000);
  }
  return [
    table(`${basename(file)}: functions`, functions, limit),
    table(`${basename(file)}: packages`, packages, limit),
  ].join('\n\n');

  function packageOf(id: number): string {
    for (let each: number | undefined = id; each !== undefined; each = parents.get(each)) {
      const frame = nodes.get(each)?.callFrame;
      if (frame?.url.startsWith('file:') || frame?.url.startsWith('/')) return ownerOf(frame.url);
    }
    return nodes.get(id)?.callFrame.functionName ?? '?';
  }
}

function add(sums: Map<string, number>, name: string, ms: number): void {
  sums.set(name, (sums.get(name) ?? 0) + ms);
}

function table(title: string, sums: Map<string, number>, limit: number): string {
  const total = [...sums.values()].reduce((sum, ms) => sum + ms, 0);
  const top = [...sums].toSorted(([, a], [, b]) => b - a).slice(0, limit);
  return tableOf(
    [title, 'ms', '% of busy'],
    top.map(([name, ms]) => [name, shown(ms), shown((ms / total) * 100)]),
  );
}

function nameOf({ functionName, url, lineNumber }: Frame): string {
  const place = url
    .replace(/^.*\/node_modules\//, '')
    .split('/')
    .slice(-4)
    .join('/');
  return `${functionName || '(anonymous)'}${place ? ` ${place}:${lineNumber + 1}` : ''}`;
}

/** `bullmq`, `@fastify/jwt`, `packages/store`, `services/gateway`. */
function ownerOf(url: string): string {
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  return installed ?? /(?:packages|services|test)\/[^/]+/.exec(url)?.[0] ?? url;
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
