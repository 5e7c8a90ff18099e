import { OneOf, type Integration } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { rowsOf } from './evidence.ts';
import { figure, quoted, say, Statement } from './statement.ts';
import { clamp, round, sum } from './statistics.ts';
import { minuteMs, timeOf } from './timestamps.ts';

export const Deduction = Type.Object(
  {
    factor: OneOf(['status', 'latency', 'sync', 'errors', 'incidents']),
    points: Type.Number({ description: 'taken off a hundred' }),
    reason: Statement,
  },
  { additionalProperties: false },
);
export type Deduction = Static<typeof Deduction>;

export const HealthStatus = OneOf(['healthy', 'at-risk', 'critical', 'disabled', 'unknown']);
export type HealthStatus = Static<typeof HealthStatus>;

/**
 * Points off a hundred, largest step first. They are a convention, not a measurement: an integration that is down is
 * critical by itself, a degraded one is at risk, and two lesser faults weigh as much as being degraded.
 */
const statusPoints = { active: 0, degraded: 25, down: 60, disabled: 0 };
const latencySteps = [
  { above: 5_000, points: 20 },
  { above: 1_000, points: 10 },
];
/** In intervals since the last sync; one missed sync may be chance. */
const syncSteps = [
  { above: 6, points: 30 },
  { above: 2, points: 15 },
];
const errorSteps = [
  { above: 99, points: 20 },
  { above: 9, points: 10 },
  { above: 0, points: 5 },
];
const incidentPoints = 15;
const mostIncidentPoints = 30;

/** Minutes since the last sync and in how many intervals; null when either is not known. */
export function syncAge(row: Integration, now: number): { minutes: number; intervals: number } | null {
  if (!row.lastSyncAt || typeof row.syncIntervalMinutes !== 'number') return null;
  const minutes = Math.max(0, (now - timeOf(row.lastSyncAt)) / minuteMs);
  return { minutes, intervals: minutes / row.syncIntervalMinutes };
}

export function isStale(row: Integration, now: number): boolean {
  const age = syncAge(row, now);
  return age !== null && age.intervals > 2;
}

/** What is wrong with an integration; nothing is deducted for what is not known. */
export function deductionsOf(row: Integration, now: number, openIncidents: number): Deduction[] {
  const name = quoted(row.name);
  const itself = rowsOf('integration', [row.id], row.customer);
  const deductions: Deduction[] = [];
  const add = (factor: Deduction['factor'], points: number, reason: () => Statement) => {
    if (points > 0) deductions.push({ factor, points, reason: reason() });
  };

  add('status', statusPoints[row.status], () => say`it is reported as ${row.status}`);

  const latency = row.latencyMs ?? 0;
  add(
    'latency',
    stepOf(latencySteps, latency),
    () => say`it answers in ${figure(`latency of ${name}`, latency, 'ms', itself)}`,
  );

  const age = syncAge(row, now);
  if (age !== null) {
    add('sync', stepOf(syncSteps, age.intervals), () => {
      const interval = figure(`sync interval of ${name}`, row.syncIntervalMinutes ?? 0, 'minutes', itself);
      return say`its last sync was ${sinceSync(name, age.minutes, itself)} ago, it is due every ${interval}`;
    });
  }

  const errors = row.errorCount24h ?? 0;
  add('errors', stepOf(errorSteps, errors), () => {
    return say`it failed ${figure(`errors of ${name} within a day`, errors, 'count', itself)} times within a day`;
  });

  add('incidents', Math.min(mostIncidentPoints, incidentPoints * openIncidents), () => {
    return say`open incidents: ${figure(`open incidents of ${name}`, openIncidents, 'count', itself)}`;
  });
  return deductions;
}

/** A hundred minus the deductions, never below zero. */
export function scoreOf(deductions: readonly Deduction[]): number {
  return clamp(100 - sum(deductions.map(({ points }) => points)), 0, 100);
}

export function statusOf(score: number): HealthStatus {
  if (score >= 80) return 'healthy';
  return score >= 50 ? 'at-risk' : 'critical';
}

/** Short gaps in hours, long ones in days. */
export function sinceSync(name: string, minutes: number, evidence: ReturnType<typeof rowsOf>) {
  const label = `time since the last sync of ${name}`;
  if (minutes < 120) return figure(label, Math.floor(minutes), 'minutes', evidence);
  const hours = minutes / 60;
  return hours < 48
    ? figure(label, round(hours, 1), 'hours', evidence)
    : figure(label, Math.floor(hours / 24), 'days', evidence);
}

function stepOf(steps: readonly { above: number; points: number }[], value: number): number {
  return steps.find(({ above }) => value > above)?.points ?? 0;
}
