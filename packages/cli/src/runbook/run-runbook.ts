import { variablesOf, type RunbookStep } from './parse-runbook.ts';
import { runStep } from './run-step.ts';

export type StepReport = {
  chapter: string;
  title: string;
  command: string;
  line: number;
  changes: string | null;
  state: 'passed' | 'failed' | 'skipped' | 'would run';
  /** Why it failed or was left out; null otherwise. */
  why: string | null;
  /** What the runbook advises where it failed; empty otherwise. */
  advice: string;
  evidence: string;
  seconds: number;
};

type Options = {
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** What the steps' `$NAME`s stand for. */
  variables: Record<string, string>;
  /** Steps that change something are run too. */
  respond: boolean;
  dryRun: boolean;
  /** Takes secrets out of what is shown. */
  redact: (text: string) => string;
};

/** Follows the steps in order. One that fails stops nobody: an incident wants the whole picture. */
export async function* runRunbook(
  steps: RunbookStep[],
  { env, signal, variables, respond, dryRun, redact }: Options,
): AsyncGenerator<StepReport> {
  for (const step of steps) {
    const { chapter, title, command, line, changes } = step;
    const report = { chapter, title, command, line, changes, advice: '', evidence: '', seconds: 0 };
    const reason = reasonToSkip(step, variables, respond);
    if (reason !== null) yield { ...report, state: 'skipped', why: reason };
    else if (dryRun) yield { ...report, state: 'would run', why: null };
    else {
      const { passed, why, output, seconds } = await runStep(step, { env: { ...env, ...variables }, signal });
      signal.throwIfAborted();
      const advice = passed ? '' : step.expect.otherwise;
      yield { ...report, state: passed ? 'passed' : 'failed', why, advice, evidence: redact(output).trim(), seconds };
    }
  }
}

const optionOf: Record<string, string> = { SUBJECT: '--subject', INCIDENT: '--incident', REASON: '--reason' };

/** In words, with what would have to be given; null: it is to be run. */
export function reasonToSkip(
  { command, changes }: RunbookStep,
  variables: Record<string, string>,
  respond: boolean,
): string | null {
  if (changes !== null && !respond) return 'it changes something: only with --subject, or --act';
  const missing = variablesOf(command).filter((name) => variables[name] === undefined);
  if (missing.length === 0) return null;
  return `needs ${missing.map((name) => optionOf[name] ?? `--set ${name}=…`).join(' and ')}`;
}
