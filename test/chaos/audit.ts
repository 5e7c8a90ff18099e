import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from './clients.ts';
import type { Execution, FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';
import { isTerminal, type RunRecord, type SeenEvent } from './run-record.ts';

type Options = {
  run: RunRecord & { id: string };
  client: Client;
  farEnd: FarEnd;
  findings: Findings;
  executions: Execution[];
};

/** All is quiet by then: a gateway may still have to find its stores again. */
const tries = 10;

type Run = { id: string; state: string; output: { values: string[] } | null; createdAt: string };

/** Holds what the ledger says of an ended run at the very end against what its client and the far end saw. */
export async function auditRun({ run, client, farEnd, findings, executions }: Options): Promise<void> {
  const wrong = (text: string) => findings.add(text, run.id);
  const { body } = await client.call<Run>('GET', `/api/runs/${run.id}`);
  const ledger = run.state === 'parked' ? run.events : await readEvents(run, client);
  auditLive(run, ledger, wrong);
  auditEvents(run, ledger, wrong);
  auditSteps(run, body, ledger, farEnd, wrong);
  auditExecutions(run, body, executions, wrong);
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

function auditEvents({ kind, state }: RunRecord, events: SeenEvent[], wrong: (text: string) => void): void {
  const gaps = events.filter(({ seq }, index) => seq !== index + 1);
  if (gaps.length > 0) wrong(`its events are not numbered one by one: ${events.map(({ seq }) => seq).join(' ')}`);
  const last = events.at(-1);
  const ends = events.filter(isTerminal);
  const attempts = 1 + events.filter(({ type }) => type === 'run.retried').length;
  if (state === 'parked') {
    const doubtful = events.some(
      ({ type, data }) =>
        type === 'step.intended' &&
        data.effect === 'unsafe' &&
        !events.some((other) => other.type === 'step.completed' && other.data.name === data.name),
    );
    if (!doubtful) wrong('it is parked without an unsafe effect in doubt');
    return;
  }
  if (ends.length !== attempts) wrong(`${attempts} attempts have ${ends.length} terminal events`);
  if (last === undefined || !isTerminal(last)) wrong(`its last event is ${last?.type ?? 'missing'}`);
  const expected = kind.ends ?? ['completed'];
  if (!expected.some((end) => last?.type === `run.${end}`))
    wrong(`it ended with ${last?.type}: ${JSON.stringify(last?.data)}`);
}

function auditSteps(
  run: RunRecord,
  { state, output }: Run,
  events: SeenEvent[],
  farEnd: FarEnd,
  wrong: (text: string) => void,
): void {
  const completed = events.filter(({ type }) => type === 'step.completed');
  const names = completed.map(({ data }) => String(data.name));
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  if (twice.length > 0) wrong(`steps were recorded twice: ${twice.join(', ')}`);
  for (const { data } of completed) {
    if (!farEnd.said(run.ticket, String(data.name)).has(String(data.output))) {
      wrong(`step ${String(data.name)} is recorded with ${JSON.stringify(data.output)}, which the far end never said`);
    }
  }
  if (state !== 'completed') return;
  const missing = run.kind.steps(run.input).filter((name) => !names.includes(name));
  if (missing.length > 0) wrong(`it completed without its steps ${missing.join(', ')}`);
  const recorded = new Map(completed.map(({ data }) => [String(data.name), String(data.output)]));
  const values = run.kind.steps(run.input).map((name) => recorded.get(name));
  if (JSON.stringify(output?.values) !== JSON.stringify(values)) {
    wrong(`its output ${JSON.stringify(output)} is not what its steps recorded: ${JSON.stringify(values)}`);
  }
}

function auditExecutions(
  run: RunRecord,
  { createdAt }: Run,
  executions: Execution[],
  wrong: (text: string) => void,
): void {
  const seenAt = new Map(
    run.events.filter(({ type }) => type === 'step.completed').map(({ data, seenAt }) => [String(data.name), seenAt]),
  );
  for (const { step, beganAt, run: id } of executions) {
    const seen = seenAt.get(step);
    if (seen !== undefined && beganAt > seen) {
      wrong(`finished step ${step} ran again ${beganAt - seen} ms after its completion had been read from the API`);
    }
    if (id !== run.id) wrong(`one piece of work, ${run.ticket}, was done by two runs: ${run.id} and ${id}`);
    if (beganAt < Date.parse(createdAt) + run.delayMs)
      wrong(`step ${step} began before the delay of ${run.delayMs} ms was over`);
  }
}
