import { setTimeout as wait } from 'node:timers/promises';
import { auditSteps, type StoredRun } from './audit-steps.ts';
import type { Client } from './clients.ts';
import type { Execution, FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';
import { isTerminal, type RunRecord, type SeenEvent } from './run-record.ts';
import type { Webhooks } from './webhooks.ts';

type Options = {
  run: RunRecord & { id: string };
  client: Client;
  farEnd: FarEnd;
  webhooks: Webhooks;
  findings: Findings;
  executions: Execution[];
  idOf: (ticket: string) => string | undefined;
  signal: AbortSignal;
};

/** All is quiet by then: a gateway may still have to find its stores again. */
const tries = 10;

/** Holds what the ledger says of an ended run at the very end against what its client and the far end saw. */
export async function auditRun(options: Options): Promise<void> {
  const { run, client, farEnd, webhooks, findings, executions, idOf, signal } = options;
  const wrong = (text: string) => findings.add(text, run.id);
  const { body: stored } = await client.call<StoredRun>('GET', `/api/runs/${run.id}`);
  const events = await readEvents(run, client);
  auditLive(run, events, wrong);
  auditEvents(run, events, wrong);
  const idOfChild = (name: string) => idOf(`${run.ticket}.${name}`);
  auditSteps({ run, stored, events, executions, farEnd, idOfChild, wrong });
  if (run.webhook) await webhooks.audit(run, events, signal);
}

/** The run's events from its first, as the API gives them now. */
async function readEvents({ id: runId }: { id: string }, client: Client): Promise<SeenEvent[]> {
  for (let attempt = 1; ; attempt++) {
    const events: SeenEvent[] = [];
    try {
      for await (const { id, event: type = '', data } of client.events(runId, 0)) {
        if (id !== undefined) events.push({ seq: Number(id), type, data: data.data as never, seenAt: Date.now() });
      }
      if (events.length > 0) return events;
    } catch (error) {
      if (attempt === tries) throw new Error(`events of ${runId} cannot be read`, { cause: error });
    }
    await wait(100 * attempt);
  }
}

/** What was told live must be what was recorded. */
function auditLive(run: RunRecord, ledger: SeenEvent[], wrong: (text: string) => void): void {
  const named = ({ seq, type, data }: SeenEvent) => [seq, type, data.name].join(' ');
  const kept = ledger.map(named);
  const vanished = run.events.map(named).filter((line, index) => kept[index] !== line);
  if (vanished.length > 0) wrong(`published, but not in the ledger: ${vanished.join(', ')}`);
}

function auditEvents({ kind }: RunRecord, events: SeenEvent[], wrong: (text: string) => void): void {
  const gaps = events.filter(({ seq }, index) => seq !== index + 1);
  if (gaps.length > 0) wrong(`its events are not numbered one by one: ${events.map(({ seq }) => seq).join(' ')}`);
  const last = events.at(-1);
  const ends = events.filter(isTerminal);
  const attempts = 1 + events.filter(({ type, data }) => type === 'run.retried' && data.auto !== true).length;
  for (const [index, { type, data }] of events.entries()) {
    if (type === 'run.parked' && data.step !== '' && !inDoubt(events.slice(0, index), data.step))
      wrong(`it was parked for ${String(data.step)}, whose effect was in no doubt`);
  }
  if (ends.length !== attempts) wrong(`${attempts} attempts have ${ends.length} terminal events`);
  if (last === undefined || !isTerminal(last)) wrong(`its last event is ${last?.type ?? 'missing'}`);
  const expected = kind.ends ?? ['completed'];
  if (!expected.some((end) => last?.type === `run.${end}`))
    wrong(`it ended with ${last?.type}: ${JSON.stringify(last?.data)}`);
}

/** Was the step's unsafe effect intended, and nothing known of what came of it? */
function inDoubt(events: SeenEvent[], step: unknown): boolean {
  const last = events.findLast(({ data }) => data.name === step);
  return last?.type === 'step.intended' && last.data.effect === 'unsafe';
}
