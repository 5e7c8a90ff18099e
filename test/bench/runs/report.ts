import type { Contender } from '../contenders/contender.ts';
import { shown, tableOf } from '../table.ts';
import type { Target } from '../targets.ts';
import { pacedPerSecond } from './plan.ts';
import type { Hops } from './hops.ts';
import type { Round } from './round.ts';
import type { Throughput } from './throughput.ts';

export type Report = {
  /** By name of the contender: medians of the rounds. */
  contenders: Record<string, Round>;
  ratios: Record<string, number | null>;
  targets: Target[];
  /** By what was in the ledger. */
  growth: Record<string, Throughput>;
  hops: Hops;
};

/** The whole table as people read it. */
export function textOf(report: Report, contenders: readonly Contender[]): string {
  const columns = contenders.filter(({ name }) => report.contenders[name] !== undefined);
  const row = (title: string, figure: (round: Round) => number | null | undefined) => [
    title,
    ...columns.map(({ name }) => shown(figure(report.contenders[name] as Round))),
  ];
  const rounds = columns.map(({ name }) => report.contenders[name] as Round);
  const namesOf = (part: 'cpuMs' | 'residentMb') =>
    [...new Set(rounds.flatMap((round) => Object.keys(round[part])))].toSorted(
      (a, b) => Number(a === 'all') - Number(b === 'all'),
    );
  const figures = tableOf(
    ['', ...columns.map(({ title }) => title)],
    [
      row('throughput, runs/s', (round) => round.runsPerSecond),
      row('  submit → 202 p50, ms', (round) => round.flood.submit.p50),
      row('  submit → 202 p99, ms', (round) => round.flood.submit.p99),
      row('  submit → done p50, ms', (round) => round.flood.done.p50),
      row('  submit → done p99, ms', (round) => round.flood.done.p99),
      row(`at ${pacedPerSecond} runs/s: submit → 202 p50, ms`, (round) => round.paced.submit.p50),
      row('  submit → 202 p99, ms', (round) => round.paced.submit.p99),
      row('  submit → done p50, ms', (round) => round.paced.done.p50),
      row('  submit → done p99, ms', (round) => round.paced.done.p99),
      row('Postgres WAL, KB a run', (round) => round.walBytes / 1024),
      row('Postgres tables, KB a run', (round) => round.tableBytes / 1024),
      row('Redis AOF, KB a run', (round) => (round.aofBytes === null ? null : round.aofBytes / 1024)),
      row('Redis memory, KB a job it keeps', (round) => round.redisKeptBytes / 1024),
      ...namesOf('cpuMs').map((name) => row(`CPU of ${name}, ms a run`, (round) => round.cpuMs[name])),
      ...namesOf('residentMb').map((name) => row(`memory of ${name}, MB`, (round) => round.residentMb[name])),
    ],
  );
  const targets = tableOf(
    ['', 'measured', 'target', ''],
    report.targets.map(({ title, measured, bound, met }) => [
      title,
      shown(measured),
      bound,
      met === null ? '' : met ? 'met' : 'missed',
    ]),
  );
  const parts = columns.length > 0 ? [figures] : [];
  if (Object.keys(report.growth).length > 0) parts.push(growthText(report.growth));
  return [...parts, hopsText(report.hops), targets].join('\n\n');
}

function hopsText(hops: Hops): string {
  const pace = `at ${pacedPerSecond}/s`;
  return tableOf(
    ['one round trip alone, ms', `${pace}: p50`, 'p99', 'one after the other: p50', 'p99'],
    Object.entries(hops).map(([name, { paced, atOnce }]) => [
      name,
      ...[paced.p50, paced.p99, atOnce.p50, atOnce.p99].map(shown),
    ]),
  );
}

function growthText(growth: Report['growth']): string {
  return tableOf(
    ['', 'runs/s', 'Postgres CPU, ms a run', 'WAL, KB a run', 'Redis memory, MB', 'controller CPU, ms a run'],
    Object.entries(growth).map(([name, throughput]) => [
      name,
      shown(throughput.runsPerSecond),
      shown(throughput.cpuMs['postgres']),
      shown(throughput.walBytes / 1024),
      shown(throughput.residentMb['redis']),
      shown(throughput.cpuMs['controller']),
    ]),
  );
}
