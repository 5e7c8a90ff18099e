import { createAuditAccess } from '../audit-access.ts';
import { openSessionAccess } from '../session-access.ts';
import type { Capture, Findings } from './evidence.ts';
import { captureLogs } from './logs-evidence.ts';
import { captureMetrics } from './metrics-evidence.ts';
import { openOwners } from './owners.ts';
import { impactedIds, namesOf } from './people.ts';
import { redactValue } from './redact.ts';
import { captureRedis } from './redis-evidence.ts';
import { actionsTaken, nextSteps, summaryMarkdown, type IncidentRecord, type Missing } from './summary.ts';
import { captureTimeline } from './timeline.ts';

/**
 * Gathers everything into the folder. A part that cannot be had is named in the summary with the reason; nothing
 * fails for it.
 */
export async function capture(
  id: string,
  { subject, ...rest }: Omit<Capture, 'miss'> & { subject: string | null },
): Promise<IncidentRecord> {
  const missing: Missing[] = [];
  const context: Capture = { ...rest, miss: (what, why) => void missing.push({ what, why }) };
  const { folder, terminal } = context;
  const part = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (terminal.signal.aborted) throw error;
      context.miss(what, (error as Error).message);
      return undefined;
    }
  };

  const timeline = (await part('timeline', () => captureTimeline(context))) ?? [];
  // What takes time by waiting goes on beside the rest.
  const metrics = part('metrics', () => captureMetrics(context));
  await part('Redis', () => captureRedis(context));
  const logs = await part('logs', () => captureLogs(context));
  const sessions = await part('session report', () => captureSessions(context));
  const audit = await part('audit verdict', () => captureVerdict(context));
  const owners = await part('owners', () => openOwners(context.options, terminal));
  const ids = impactedIds(timeline, context.userId);
  const actors = timeline.flatMap(({ source, who }) => (source === 'audit' && who !== null ? [who] : []));
  const names = (await part('names of users', () => namesOf([...new Set([...ids, ...actors])], context))) ?? new Map();
  await metrics;

  const { redact } = context;
  const findings: Findings = {
    timeline,
    ...(sessions && { sessions }),
    ...(audit && { audit }),
    ...(owners && { owners: redactValue(owners, redact) }),
    ...(logs && { logs: redact(logs) }),
  };
  const absent = redactValue(missing, redact);
  const facts = {
    id,
    from: context.from.toISOString(),
    to: context.to.toISOString(),
    subject,
    impactedUsers: ids.flatMap((user) => names.get(user) ?? (user === context.userId ? [user] : [])).slice(0, 200),
    actionsTaken: actionsTaken(timeline, names),
    nextSteps: nextSteps(findings, absent),
  };
  const markdown = summaryMarkdown(facts, findings, absent);
  await folder.write('summary.md', markdown);
  const record: IncidentRecord = { ...facts, markdown, missing: absent, files: [...folder.files(), 'incident.json'] };
  await folder.write('incident.json', `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

async function captureSessions({ options, terminal, folder, userId }: Capture) {
  const access = await openSessionAccess(options, terminal);
  try {
    const report = await access.verify(false);
    await folder.write('sessions/report.json', `${JSON.stringify(report, null, 2)}\n`);
    const live = await access.list(userId, 200);
    await folder.write('sessions/live.json', `${JSON.stringify(live, null, 2)}\n`);
    return report;
  } finally {
    await access.close();
  }
}

async function captureVerdict({ options, terminal, folder }: Capture) {
  const access = await createAuditAccess(options, terminal);
  try {
    const verdict = await access.verify(undefined);
    await folder.write('audit-verdict.json', `${JSON.stringify(verdict, null, 2)}\n`);
    return verdict;
  } finally {
    await access.close();
  }
}
