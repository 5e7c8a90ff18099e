import type { Effect, PayloadRef, RunError, RunEvent, Step } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { readPayload } from './payloads.ts';
import { readEvents } from './read.ts';

/** Large outputs shown in one answer, in bytes; further ones are shown by reference. */
const maxShownBytes = 32 * 1024 * 1024;

type StepData = {
  name: string;
  effect: Effect;
  attempt: number;
  startedAt: string;
  output?: unknown;
  outputRef?: PayloadRef;
  error?: RunError;
};

/** What is recorded of a run's steps, in the order they were first recorded; the last try of each. */
export async function readSteps(db: Db, runId: string): Promise<Step[]> {
  let left = maxShownBytes;
  const steps: Step[] = [];
  for (const { outputRef, ...step } of foldSteps(await readEvents(db, runId))) {
    if (outputRef === undefined) steps.push(step);
    else if (outputRef.bytes > left) steps.push({ ...step, output: outputRef });
    else {
      left -= outputRef.bytes;
      const json = await readPayload(db, runId, outputRef.ref);
      steps.push({ ...step, output: json === null ? outputRef : JSON.parse(json) });
    }
  }
  return steps;
}

type FoldedStep = Step & { outputRef?: PayloadRef };

function foldSteps(events: readonly RunEvent[]): FoldedStep[] {
  const steps = new Map<string, FoldedStep>();
  for (const event of events) {
    if (!event.type.startsWith('step.')) continue;
    const { name, effect, attempt, startedAt, output, outputRef, error } = event.data as StepData;
    const ended = event.type !== 'step.intended';
    steps.set(name, {
      name,
      effect,
      state: !ended ? 'running' : event.type === 'step.completed' ? 'completed' : 'failed',
      attempt: attempt ?? 1,
      output: output ?? null,
      ...(outputRef && { outputRef }),
      error: error ?? null,
      startedAt: startedAt ?? event.at,
      finishedAt: ended ? event.at : null,
    });
  }
  return [...steps.values()];
}
