import type { RunEvent, RunExplanation } from '@flowstate/contracts';
import type { StoredRun } from '@flowstate/store';
import type { Spending } from '@flowstate/tracing';
import { divideTime, stays, type Stretch } from './timeline.ts';

type Steps = RunExplanation['steps'];
type StepData = { name: string; attempt?: number; startedAt?: string; spent?: Spending };

/** Says where a run's time and cost went, by its events. `now`: milliseconds since 1970, for a run that goes on. */
export function explainRun(run: StoredRun, events: readonly RunEvent[], now: number): RunExplanation {
  const from = Date.parse(run.createdAt);
  const to = Math.max(from, run.finishedAt === null ? now : Date.parse(run.finishedAt));
  const steps = triesOf(events, to);
  const waits = waitsOf(events, to);
  const stretch = (kind: Stretch['kind']) => (each: { startedAt: string; ms: number }) => ({
    kind,
    from: Date.parse(each.startedAt),
    to: Date.parse(each.startedAt) + each.ms,
  });
  const stretches = [...steps.map(stretch('steps')), ...waits.map(stretch('waits')), ...stays(events, to)];
  const models = sum(steps.flatMap((step) => step.models));
  const costs = models.flatMap(({ costUsd }) => costUsd ?? []);
  return {
    id: run.id,
    workflow: run.workflow,
    state: run.state,
    traceId: run.traceId,
    attempt: run.attempt,
    createdAt: run.createdAt,
    finishedAt: run.finishedAt,
    totalMs: to - from,
    time: divideTime(stretches, from, to),
    steps,
    waits,
    backend: sum(steps.flatMap((step) => step.backend)),
    models,
    costUsd: costs.length === 0 ? null : costs.reduce((all, cost) => all + cost, 0),
  };
}

/** Every try of every step, oldest first. A pure step that runs has left nothing on record yet. */
function triesOf(events: readonly RunEvent[], until: number): Steps {
  const open = new Map<string, Steps[number]>();
  const tries: Steps = [];
  for (const { type, at, data } of events) {
    if (!type.startsWith('step.')) continue;
    const { name, attempt = 1, startedAt = at, spent = {} } = data as StepData;
    const ended = type !== 'step.intended';
    const each: Steps[number] = {
      name,
      attempt,
      state: type === 'step.completed' ? 'completed' : ended ? 'failed' : 'running',
      startedAt,
      ms: Math.max(0, (ended ? Date.parse(at) : until) - Date.parse(startedAt)),
      backend: Object.entries(spent.backend ?? {}).map(([operation, calls]) => ({ operation, ...calls })),
      models: Object.entries(spent.models ?? {}).map(([model, calls]) => ({ model, ...calls })),
    };
    if (ended) {
      open.delete(name);
      tries.push(each);
    } else open.set(name, each);
  }
  return [...tries, ...open.values()].toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
}

function waitsOf(events: readonly RunEvent[], until: number): RunExplanation['waits'] {
  const ends = new Map(
    events.flatMap(({ type, at, data }) => (type === 'wait.ended' ? [[data.name, Date.parse(at)] as const] : [])),
  );
  return events
    .filter(({ type }) => type === 'wait.begun')
    .map(({ at, data }) => ({
      name: String(data.name),
      startedAt: at,
      ms: Math.max(0, (ends.get(data.name) ?? until) - Date.parse(at)),
    }));
}

type Calls = RunExplanation['backend'][number] | RunExplanation['models'][number];

/** Calls of all steps together, those that took longest first. */
function sum<T extends Calls>(all: readonly T[]): T[] {
  const sums = new Map<string, T>();
  for (const calls of all) {
    const name = 'model' in calls ? calls.model : calls.operation;
    const before = sums.get(name);
    sums.set(name, before === undefined ? calls : add(before, calls));
  }
  return [...sums.values()].toSorted((a, b) => b.ms - a.ms);
}

function add<T extends Calls>(one: T, other: T): T {
  const calls = { ...one, calls: one.calls + other.calls, ms: Math.round((one.ms + other.ms) * 10) / 10 };
  if (!('model' in one) || !('model' in other)) return calls;
  const known = [one.costUsd, other.costUsd].flatMap((cost) => cost ?? []);
  return {
    ...calls,
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    costUsd: known.length === 0 ? null : known.reduce((all, cost) => all + cost, 0),
  };
}
