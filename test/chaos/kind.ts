import {
  defineWorkflow,
  type StepContext,
  type StepOptions,
  type Workflow,
  type WorkflowContext,
} from '@flowstate/workflow';
import Type, { type Static, type TObject, type TProperties } from 'typebox';
import type { Client } from './clients.ts';
import type { Execution, FarEnd } from './far-end.ts';
import type { Random } from '../support/random.ts';
import type { RunRecord } from './run-record.ts';

/** One sort of run in the mixed workload: the workflow the workers carry, and what its client does and may expect. */
export type Kind = {
  name: string;
  workflow: Workflow;
  /** How often it comes, relative to the others. */
  weight: number;
  /** Its own part of the input, and how the run is started. */
  start(random: Random): { input: Record<string, unknown>; delayMs?: number };
  /** Names of the steps of a completed run, in the order of its output. */
  steps(input: Record<string, unknown>): string[];
  /** Terminal states a run may end in; `completed` unless said otherwise. */
  ends?: readonly string[];
  /** What the client does as its run goes on. `go-on`: this terminal event will not be the last. */
  onEvent?(event: { type: string; data: Record<string, unknown> }, hand: RunInHand): Promise<'go-on' | void>;
  /** Runs that its run starts itself, by name: each has the ticket `<its own>.<name>`. */
  children?(input: Record<string, unknown>): Record<string, Kind>;
  /** What a run is that was forked from one of these. */
  fork?: Kind;
  /** What else must hold of a run that ended; says what is wrong. */
  check?(facts: Facts): string | undefined;
};

export type RunInHand = { id: string; run: RunRecord; client: Client; farEnd: FarEnd };

export type Facts = {
  run: RunRecord;
  state: string;
  /** Outputs on record by step. */
  recorded: ReadonlyMap<string, unknown>;
  /** What this very run did at the far end, in order. */
  executions: readonly Execution[];
};

/** What every kind's input has: where steps report to, and what the client calls this piece of work. */
const reporting = { farEnd: Type.String(), ticket: Type.String() };
export const Output = Type.Object({ values: Type.Array(Type.String()) });

type Reporting = { farEnd: string; ticket: string };
/** Makes a context's step report; `prefix` is what the ledger puts before its name. */
type StepIn = (scope: WorkflowContext, prefix: string) => ReportedStep;

/** A workflow whose steps all report to the far end; it answers with what the far end said to each. */
export function reportingWorkflow<P extends TProperties>(
  name: string,
  input: P,
  run: (
    step: ReportedStep,
    input: Static<TObject<P>> & Reporting,
    ctx: WorkflowContext,
    stepIn: StepIn,
  ) => Promise<string[]>,
  retries: Partial<Pick<Workflow, 'retry' | 'runRetry'>> = {},
): Workflow {
  return defineWorkflow(
    {
      name,
      version: '1',
      description: 'Part of the chaos suite',
      input: Type.Object({ ...reporting, ...input }),
      output: Output,
      ...retries,
    },
    async (ctx, given) => {
      const to = given as unknown as Reporting;
      const stepIn: StepIn =
        (scope, prefix) =>
        (stepName, { holdMs = 0, failures = 0, say, ...options } = {}) =>
          scope.step(
            stepName,
            (context) =>
              report(
                to,
                { run: ctx.runId, step: prefix + stepName, holdMs, failures, ...(say !== undefined && { say }) },
                options,
                context,
              ),
            options,
          );
      return { values: await run(stepIn(ctx, ''), given as never, ctx, stepIn) };
    },
  );
}

export type ReportedStep = (name: string, options?: StepOptions & ReportOptions) => Promise<string>;

type ReportOptions = {
  /** The far end takes this long. */
  holdMs?: number;
  /** It refuses the first so many tries. */
  failures?: number;
  /** It says this back instead of a value of its own. */
  say?: string;
};

/** What a step's execution tells the far end. */
export type Report = {
  run: string;
  ticket: string;
  step: string;
  attempt: number;
  effect: string;
  key: string;
  holdMs: number;
  failures: number;
  say?: string;
  /** This process's clock when the step's function began: a request may be stopped on its way. */
  beganAt: number;
};

async function report(
  { farEnd, ticket }: Reporting,
  told: Pick<Report, 'run' | 'step' | 'holdMs' | 'failures' | 'say'>,
  { effect = 'pure' }: StepOptions,
  { attempt, idempotencyKey, signal }: StepContext,
): Promise<string> {
  const body: Report = { ...told, ticket, attempt, effect, key: idempotencyKey, beganAt: Date.now() };
  const response = await fetch(farEnd, { method: 'POST', body: JSON.stringify(body), signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`the far end refused: ${text}`);
  return text;
}
