import {
  defineWorkflow,
  type StepContext,
  type StepOptions,
  type Workflow,
  type WorkflowContext,
} from '@flowstate/workflow';
import Type, { type Static, type TObject, type TProperties } from 'typebox';
import type { Client } from './clients.ts';
import type { FarEnd } from './far-end.ts';
import type { Random } from './random.ts';

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
};

export type RunInHand = { id: string; ticket: string; client: Client; farEnd: FarEnd };

/** What every kind's input has: where steps report to, and what the client calls this piece of work. */
const reporting = { farEnd: Type.String(), ticket: Type.String() };
const Output = Type.Object({ values: Type.Array(Type.String()) });

type Reporting = { farEnd: string; ticket: string };

/** A workflow whose steps all report to the far end; it answers with what the far end said to each. */
export function reportingWorkflow<P extends TProperties>(
  name: string,
  input: P,
  run: (step: ReportedStep, input: Static<TObject<P>>, ctx: WorkflowContext) => Promise<string[]>,
): Workflow {
  return defineWorkflow(
    {
      name,
      version: '1',
      description: 'Part of the chaos suite',
      input: Type.Object({ ...reporting, ...input }),
      output: Output,
    },
    async (ctx, given) => {
      const to = given as unknown as Reporting;
      const step: ReportedStep = (stepName, { holdMs = 0, failures = 0, say, ...options } = {}) =>
        ctx.step(
          stepName,
          (context) =>
            report(
              to,
              { run: ctx.runId, step: stepName, holdMs, failures, ...(say !== undefined && { say }) },
              options,
              context,
            ),
          options,
        );
      return { values: await run(step, given as never, ctx) };
    },
  );
}

export type ReportedStep = (name: string, options?: StepOptions & ReportOptions) => Promise<string>;

type ReportOptions = {
  /** The far end takes this long. */
  holdMs?: number;
  /** It refuses this many tries. */
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
