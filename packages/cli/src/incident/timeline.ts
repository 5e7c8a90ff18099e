import type { AuditRecord, IncidentEvent } from '@flowstate/contracts';
import { createSql, exportRunEvents, mostRunsExported } from '@flowstate/store';
import { createAuditAccess } from '../audit-access.ts';
import { connect, databaseUrl } from '../connection.ts';
import { jsonLines } from '../json-lines.ts';
import { textLines } from '../text-lines.ts';
import type { Capture, RunEventsOf, TimelineEntry } from './evidence.ts';
import { redactValue } from './redact.ts';

/** What happens all day; the rest of the audit log is what somebody did about something. */
const ordinary = /^(auth|agent|run|schedule|data|access\.denied|session\.verified|incident\.)/;
const mostEntries = 100_000;
const shownInMarkdown = 2_000;

/** `timeline.jsonl` and `timeline.md`: audit entries and runs' events of the time in one order. */
export async function captureTimeline(capture: Capture): Promise<TimelineEntry[]> {
  const { folder, miss, userId } = capture;
  const entries: TimelineEntry[] = [];
  const collect = async (what: string, from: AsyncIterable<TimelineEntry>) => {
    const kept: TimelineEntry[] = [];
    let left = 0;
    try {
      for await (const entry of from) {
        kept.push(redactValue(entry, capture.redact));
        if (kept.length > 2 * mostEntries) left += kept.splice(0, mostEntries).length;
      }
    } catch (error) {
      if (capture.terminal.signal.aborted) throw error;
      miss(what, (error as Error).message);
    }
    for (const entry of kept) entries.push(entry);
    if (left > 0) miss(what, `there were too many: the first ${left} were left out`);
  };
  await collect('audit entries', auditEntries(capture));
  await collect('run events', runEntries(capture));
  const runs = new Set(entries.flatMap(({ source, to }) => (source === 'run' ? [to] : [])));
  if (runs.size >= mostRunsExported) miss('run events', `of the last ${mostRunsExported} runs only`);
  const concerns = (entry: TimelineEntry) =>
    userId === undefined || [entry.who, entry.to].includes(userId) || runs.has(entry.to) || isAction(entry);
  const timeline = entries.filter(concerns).toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  await folder.write('timeline.jsonl', timeline.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  await folder.write('timeline.md', toMarkdown(timeline));
  return timeline;
}

/** Did somebody change something by it, as one does in an incident? */
export function isAction({ source, what, outcome }: TimelineEntry): boolean {
  return source === 'audit' && outcome === 'success' && !ordinary.test(what);
}

async function* auditEntries({ options, terminal, from, to }: Capture): AsyncGenerator<TimelineEntry> {
  const access = await createAuditAccess(options, terminal);
  try {
    const lines = textLines(access.export({ from: from.toISOString(), to: to.toISOString() }));
    for await (const line of lines) {
      const { at, action, actor, subject, outcome, details, personal } = JSON.parse(line) as AuditRecord;
      const about = { details, personal } as Pick<TimelineEntry, 'details' | 'personal'>;
      yield { at, source: 'audit', what: action, who: actor, to: subject, outcome, ...about };
    }
  } finally {
    await access.close();
  }
}

async function* runEntries(capture: Capture): AsyncGenerator<TimelineEntry> {
  const { from, to, userId } = capture;
  const { events, close } = await openRunEvents(capture);
  const window = { from: from.toISOString(), to: to.toISOString(), ...(userId !== undefined && { principal: userId }) };
  try {
    for await (const { at, type, run, workflow, principal, data } of events(window)) {
      const details = { workflow, ...data };
      yield { at, source: 'run', what: type, who: principal, to: run, outcome: null, details, personal: null };
    }
  } finally {
    await close();
  }
}

async function openRunEvents({ options, terminal }: Capture): Promise<{ events: RunEventsOf; close(): Promise<void> }> {
  if (options.direct) {
    const sql = createSql(await databaseUrl(terminal), { name: 'flowstate-cli', max: 1 });
    return {
      async *events({ principal, ...window }) {
        for await (const some of exportRunEvents(sql, { ...window, principalId: principal })) yield* some;
      },
      close: () => sql.end({ timeout: 1 }),
    };
  }
  const client = await connect(options, terminal);
  return {
    async *events(window) {
      const query = new URLSearchParams(window).toString();
      yield* jsonLines<IncidentEvent>(await client.stream('GET', `/api/admin/incidents/events?${query}`));
    },
    close: () => client.close(),
  };
}

function toMarkdown(timeline: TimelineEntry[]): string {
  const shown = timeline.slice(-shownInMarkdown);
  const left = timeline.length - shown.length;
  const rows = shown.map(({ at, source, what, who, to, outcome, details }) =>
    [at, source, what, outcome ?? '', who ?? '', to ?? '', details === null ? '' : JSON.stringify(details)]
      .map(inCell)
      .join(' | '),
  );
  return [
    '# Timeline',
    '',
    `${timeline.length} entries${left > 0 ? `; the last ${shown.length} of them, all are in timeline.jsonl` : ''}.`,
    '',
    '| at | source | what | outcome | who | to whom or what | details |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}

/** Foreign text as a cell of a table: on one line, and no markup of its own. */
export function inCell(text: string): string {
  return text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, 300)
    .replaceAll(/[\\`*_|<>[\]]/g, (c) => `\\${c}`);
}
