import type { IncidentSummary } from '@flowstate/contracts';
import { shownContact } from '../checks/owners.ts';
import type { Findings, TimelineEntry } from './evidence.ts';
import { inCell, isAction } from './timeline.ts';

export type Missing = { what: string; why: string };

/** `incident.json`: the summary as a program reads it, and what could not be had. */
export type IncidentRecord = IncidentSummary & { missing: Missing[]; files: string[] };

const listed = 200;

/** What was done, oldest first: the audit log's changes, each once. */
export function actionsTaken(timeline: TimelineEntry[], names: Map<string, string>): string[] {
  const done = timeline.filter(isAction);
  const named = done.filter(({ what }) => what !== 'admin.change');
  // A change that has an entry of its own stands in the log a second time, by its route.
  const isRepeated = ({ what, who, at }: TimelineEntry) =>
    what === 'admin.change' &&
    named.some((entry) => entry.who === who && Math.abs(Date.parse(entry.at) - Date.parse(at)) < 1_000);
  return done
    .filter((entry) => !isRepeated(entry))
    .slice(-listed)
    .map(({ at, what, who, to, details }) => {
      const route = what === 'admin.change' ? ` ${String(details?.method)} ${String(details?.route)}` : '';
      const reason = typeof details?.reason === 'string' ? `: ${details.reason}` : '';
      const by = who === null ? '' : ` by ${names.get(who) ?? who}`;
      return `${at} ${what}${route}${to === null ? '' : ` ${names.get(to) ?? to}`}${by}${reason}`.slice(0, 1_000);
    });
}

/** What the evidence says is still to do. */
export function nextSteps({ timeline, sessions, audit, owners }: Findings, missing: Missing[]): string[] {
  const released = new Set(timeline.flatMap(({ what, to }) => (what === 'user.released' ? [to] : [])));
  const contained = timeline.filter(({ what, to }) => what === 'user.contained' && !released.has(to));
  const locked = timeline.filter(({ what }) => what === 'access.locked');
  const unreached = owners?.filter(({ contact }) => contact === null).map(({ role }) => role) ?? [];
  return [
    ...(audit?.ok === false
      ? ['The audit log was TOUCHED: keep the database as it is and find out who could write to it']
      : []),
    ...(sessions?.sound === false ? ['Sessions in Redis are not sound: flowstate sessions verify --repair'] : []),
    ...(timeline.some(({ details }) => details?.reason === 'refresh_reused')
      ? ['A refresh token was used twice: its session was ended; ask its user where they were logged in']
      : []),
    ...contained.map(({ to }) => `Release user:${to}, once cleared: flowstate release user:${to}`),
    ...locked.map(
      ({ to }) => `A lockdown of ${to ?? 'a target'} was made: flowstate access list shows whether it still holds`,
    ),
    ...(unreached.length > 0 ? [`Nobody can be reached for ${unreached.join(', ')}: flowstate access owners`] : []),
    ...(missing.length > 0 ? [`${missing.length} kinds of evidence are missing: see below`] : []),
    'File what is to be changed: flowstate incident followup <folder> --task …',
    'Rehearse the rotation of keys within the next sprint if gaps were seen',
  ];
}

/** `summary.md`: what people read first. */
export function summaryMarkdown(
  { id, from, to, subject, impactedUsers, actionsTaken, nextSteps }: Omit<IncidentSummary, 'markdown'>,
  { timeline, sessions, audit, owners, logs }: Findings,
  missing: Missing[],
): string {
  const list = (items: string[], none: string) =>
    items.length === 0 ? [none] : items.map((item) => `- ${inCell(item)}`);
  return [
    `# Incident ${id}`,
    '',
    `From ${from} to ${to}${subject === null ? '' : `, about ${inCell(subject)}`}.`,
    '',
    '## Impacted users',
    '',
    ...list(impactedUsers, 'None is known.'),
    '',
    '## Actions taken',
    '',
    ...list(actionsTaken, 'None yet.'),
    '',
    '## Next steps',
    '',
    ...list(nextSteps, 'None.'),
    '',
    '## What was seen',
    '',
    ...list(seen(timeline), 'Nothing.'),
    '',
    `- Sessions: ${sessions === undefined ? 'not verified' : `${sessions.sound ? 'sound' : 'NOT SOUND'}, ${sessions.sessions} live`}`,
    `- Audit log: ${audit === undefined ? 'not verified' : audit.ok ? `untouched, ${audit.entries} entries sealed` : 'TOUCHED'}`,
    `- Logs: ${logs ?? 'none'}`,
    '',
    '## Who answers for the roles',
    '',
    ...list(
      (owners ?? []).map(({ role, owner, contact }) => `${role}: ${owner ?? 'nobody yet'}, ${shownContact(contact)}`),
      'Not known.',
    ),
    '',
    '## What is missing here, and why',
    '',
    ...list(
      missing.map(({ what, why }) => `${what}: ${why}`),
      'Nothing.',
    ),
    '',
  ].join('\n');
}

/** How often what happened, the refused first. */
function seen(timeline: TimelineEntry[]): string[] {
  const counts = new Map<string, number>();
  for (const { what, outcome, details } of timeline) {
    const reason = what === 'auth.failed' ? ` ${String(details?.reason)}` : '';
    const key = `${outcome === null ? '' : `${outcome}: `}${what}${reason}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([a, n], [b, m]) => Number(b.startsWith('denied')) - Number(a.startsWith('denied')) || m - n)
    .slice(0, 40)
    .map(([what, n]) => `${n} × ${what}`);
}
