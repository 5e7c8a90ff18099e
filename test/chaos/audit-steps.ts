import type { Execution, FarEnd } from './far-end.ts';
import { completedStep, type RunRecord, type SeenEvent } from './run-record.ts';

type Wrong = (text: string) => void;
export type StoredRun = { id: string; state: string; output: { values: string[] } | null; createdAt: string };

type Options = {
  run: RunRecord & { id: string };
  stored: StoredRun;
  /** As the ledger has them. */
  events: SeenEvent[];
  /** Of this run, in order. */
  executions: Execution[];
  farEnd: FarEnd;
  /** Of a run that this one started. */
  idOfChild: (name: string) => string | undefined;
  wrong: Wrong;
};

/** Holds a run's steps on record against its output and against what the far end said and saw. */
export function auditSteps(options: Options): void {
  const { run, stored, events, executions, wrong } = options;
  const completed = events.flatMap((event) => {
    const name = completedStep(event);
    return name === undefined ? [] : [{ name, output: event.data.output }];
  });
  const names = completed.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  if (twice.length > 0) wrong(`steps were recorded twice: ${twice.join(', ')}`);
  const recorded = new Map(completed.map(({ name, output }) => [name, output]));
  auditSaid(options, recorded);
  auditExecutions(options);
  auditUnsafe(options, names);
  if (stored.state === 'completed') {
    const steps = run.kind.steps(run.input);
    const missing = steps.filter((name) => !recorded.has(name));
    if (missing.length > 0) wrong(`it completed without its steps ${missing.join(', ')}`);
    const values = steps.map((name) => recorded.get(name));
    if (JSON.stringify(stored.output?.values) !== JSON.stringify(values))
      wrong(`its output ${JSON.stringify(stored.output)} is not what its steps recorded: ${JSON.stringify(values)}`);
  }
  if (stored.state === 'completed' || run.kind.ends !== undefined) {
    const amiss = run.kind.check?.({ run, state: stored.state, recorded, executions });
    if (amiss !== undefined) wrong(amiss);
  }
}

function auditSaid({ run, farEnd, idOfChild, wrong }: Options, recorded: Map<string, unknown>): void {
  const children = Object.keys(run.kind.children?.(run.input) ?? {});
  for (const [name, output] of recorded) {
    if (children.some((child) => name === `${child}.result`)) continue; // checked by what the run made of it
    const child = children.find((one) => name === `${one}.start`);
    if (child !== undefined) {
      if (idOfChild(child) !== output)
        wrong(`its ${child} is ${String(output)}, but the ledger has ${idOfChild(child)}`);
    } else if (!farEnd.said(run.ticket, name).has(String(output))) {
      wrong(`step ${name} is recorded with ${JSON.stringify(output)}, which the far end never said`);
    }
  }
}

function auditExecutions({ run, stored: { createdAt }, executions, wrong }: Options): void {
  const seenAt = new Map(
    run.events.flatMap((event) => {
      const name = completedStep(event);
      return name === undefined ? [] : [[name, event.seenAt] as const];
    }),
  );
  for (const { step, beganAt } of executions) {
    const seen = seenAt.get(step);
    if (seen !== undefined && beganAt > seen)
      wrong(`finished step ${step} ran again ${beganAt - seen} ms after its completion had been read from the API`);
    if (beganAt < Date.parse(createdAt) + run.delayMs)
      wrong(`step ${step} began before the delay of ${run.delayMs} ms was over`);
  }
}

/** Whatever took place must be on record, or a person would have been asked. */
function auditUnsafe({ run, farEnd, wrong }: Options, recorded: string[]): void {
  for (const { step } of farEnd.unsafe.filter((effect) => effect.run === run.id)) {
    if (!recorded.includes(step))
      wrong(`it has ended, and its unsafe effect ${step} took place without being on record`);
  }
}
