import { Nullable, OneOf, Timestamp, type Integration } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { isStale, sinceSync, syncAge } from './integration-health.ts';
import { oneLine } from './plain-text.ts';
import { day, figure, quote, quoted, say, Statement } from './statement.ts';
import { compareText } from './time-span.ts';
import { dayOf, daysBetween, minuteMs, timeOf } from './timestamps.ts';

export const IncidentReport = Type.Object(
  {
    integrationId: Type.String(),
    name: Type.String(),
    source: OneOf(['recorded', 'detected']),
    kind: OneOf(['incident', 'stale-sync', 'down', 'errors']),
    since: Nullable(Timestamp),
    summary: Type.String(),
    reason: Statement,
  },
  { additionalProperties: false },
);
export type IncidentReport = Static<typeof IncidentReport>;

/** Errors within a day from which on they are an incident nobody has opened yet. */
const manyErrors = 100;

/** Recorded incidents that were open at `time`. */
export function openIncidentsAt(row: Integration, time: number) {
  return (row.incidents ?? []).filter(({ openedAt, closedAt }) => {
    return timeOf(openedAt) <= time && (closedAt === null || timeOf(closedAt) > time);
  });
}

/**
 * Open incidents of all integrations that are in use: recorded ones, and faults that show but nobody recorded. The one
 * that lasts longest comes first, those whose beginning is not known last.
 */
export function incidentsOf(rows: readonly Integration[], now: number): IncidentReport[] {
  const inUse = rows.filter(({ status }) => status !== 'disabled').toSorted((a, b) => compareText(a.id, b.id));
  const found = inUse.flatMap((row) => {
    const recorded = openIncidentsAt(row, now).map((one) => recordedIncident(row, one, now));
    return [...recorded, ...detectedIncidents(row, now, recorded.length > 0)];
  });
  const start = ({ since }: IncidentReport) => (since === null ? Infinity : timeOf(since));
  return found.sort((a, b) => (start(a) === start(b) ? 0 : start(a) - start(b)));
}

function recordedIncident(row: Integration, { openedAt, summary }: { openedAt: string; summary: string }, now: number) {
  const since = timeOf(openedAt);
  const open = figure(`days an incident of ${quoted(row.name)} has been open`, daysBetween(since, now), 'days', {
    kind: 'integration',
    ids: [row.id],
  });
  const reason = say`${quote(row.name)}: ${quote(summary)}, open since ${day(dayOf(since))}, that is ${open}`;
  return incident(row, { source: 'recorded', kind: 'incident', since: openedAt, summary, reason });
}

function detectedIncidents(row: Integration, now: number, recorded: boolean): IncidentReport[] {
  const found: IncidentReport[] = [];
  const itself = { kind: 'integration' as const, ids: [row.id] };
  const name = quoted(row.name);
  const age = syncAge(row, now);
  if (age !== null && isStale(row, now)) {
    // Due one interval after the last one: from then on it was late.
    const due = timeOf(row.lastSyncAt as string) + (row.syncIntervalMinutes ?? 0) * minuteMs;
    const reason = say`${quote(row.name)} has not synced for ${sinceSync(name, age.minutes, itself)}, due since ${day(dayOf(due))}`;
    const since = new Date(due).toISOString();
    found.push(incident(row, { source: 'detected', kind: 'stale-sync', since, summary: 'sync overdue', reason }));
  }
  if (row.status === 'down' && !recorded) {
    const reason = say`${quote(row.name)} is down and nobody has opened an incident`;
    found.push(incident(row, { source: 'detected', kind: 'down', since: null, summary: 'down', reason }));
  }
  const errors = row.errorCount24h ?? 0;
  if (errors >= manyErrors && !recorded) {
    const count = figure(`errors of ${name} within a day`, errors, 'count', itself);
    const reason = say`${quote(row.name)} failed ${count} times within a day and nobody has opened an incident`;
    found.push(incident(row, { source: 'detected', kind: 'errors', since: null, summary: 'many errors', reason }));
  }
  return found;
}

function incident(row: Integration, what: Omit<IncidentReport, 'integrationId' | 'name'>): IncidentReport {
  return { integrationId: row.id, name: row.name, ...what, summary: oneLine(what.summary, 300) };
}
