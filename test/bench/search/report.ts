import { shown, tableOf } from '../table.ts';
import { atLeast, atMost, type Target } from '../targets.ts';
import type { Figures } from './measure.ts';

type Medians = Record<string, Figures>;

export type SearchReport = {
  /** By number of documents, then by way. */
  uncached: Record<string, Medians>;
  /** By how many ask at a time, then by way. */
  cached: Record<string, Medians>;
  recall: number | null;
  ingest: { model: number; product: number } | null;
};

export const ways = {
  route: 'HTTP route, uncached',
  bareRoute: 'bare Fastify + match_documents',
  matchDocuments: 'bare match_documents',
  select: 'bare SELECT … ORDER BY <=>',
  cachedRoute: 'HTTP route, cached',
  provenCache: 'bare Fastify + token, session, version and Redis GET',
  bareCache: 'bare Fastify + Redis GET',
  redis: 'bare Redis GET',
} as const;

export function targetsOf({ uncached, cached, recall, ingest }: SearchReport): Target[] {
  const levels = Object.entries(uncached).flatMap(([documents, medians]) => {
    const ratio = (figure: 'p50' | 'p99') =>
      divided(medians[ways.route]?.[figure], medians[ways.matchDocuments]?.[figure]);
    return [
      atMost(`${documents} documents: uncached route / bare SQL, p50`, ratio('p50'), 1.3),
      atMost(`${documents} documents: uncached route / bare SQL, p99`, ratio('p99'), 1.3),
    ];
  });
  return [
    ...levels,
    ...Object.entries(cached).map(([asking, medians]) =>
      atLeast(
        `${asking} at a time: cached route / bare Fastify + Redis GET, throughput`,
        divided(medians[ways.cachedRoute]?.perSecond, medians[ways.bareCache]?.perSecond),
        0.7,
      ),
    ),
    atLeast('recall@10 against exact, real embeddings', recall, 0.98),
    atLeast('ingest / the model alone', divided(ingest?.product, ingest?.model), 0.8),
  ];
}

/** The whole table as people read it. */
export function textOf(report: SearchReport, targets: readonly Target[]): string {
  const row = (name: string, figures: Figures) => [
    name,
    ...[
      figures.perSecond,
      figures.p50,
      figures.p99,
      figures.serverCpuMs,
      figures.postgresCpuMs,
      figures.askerCpuMs,
    ].map(shown),
  ];
  const levels = Object.entries(report.uncached).flatMap(([documents, medians]) =>
    Object.entries(medians).map(([way, asked]) => row(`${documents} documents: ${way}`, asked)),
  );
  const cached = Object.entries(report.cached).flatMap(([asking, medians]) =>
    Object.entries(medians).map(([way, asked]) => row(`${asking} at a time: ${way}`, asked)),
  );
  const [first, last] = [Object.values(report.uncached)[0], Object.values(report.uncached).at(-1)];
  const growth = Object.keys(first ?? {}).map((way) => [
    way,
    shown(divided(last?.[way]?.p50, first?.[way]?.p50)),
    shown(divided(last?.[way]?.p99, first?.[way]?.p99)),
  ]);
  return [
    tableOf(
      ['', 'a second', 'p50, ms', 'p99, ms', 'server CPU, ms', 'Postgres CPU, ms', 'asker CPU, ms'],
      [...levels, ...cached],
    ),
    tableOf([`${Object.keys(report.uncached).join(' → ')} documents`, 'p50 ×', 'p99 ×'], growth),
    tableOf(
      ['ingest', 'documents/s'],
      [
        ['the model alone', shown(report.ingest?.model)],
        ['NDJSON import until found', shown(report.ingest?.product)],
      ],
    ),
    tableOf(
      ['', 'measured', 'target', ''],
      targets.map(({ title, measured, bound, met }) => [
        title,
        shown(measured),
        bound,
        met === null ? '' : met ? 'met' : 'missed',
      ]),
    ),
  ].join('\n\n');
}

function divided(a: number | undefined, b: number | undefined): number | null {
  return a === undefined || b === undefined ? null : a / b;
}
