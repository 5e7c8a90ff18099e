import type { Effect, RunError, RunEvent, Step } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { readEvents } from './read.ts';

type StepData = {
  name: string;
  effect: Effect;
  attempt: number;
  startedAt: string;
  output?: unknown;
  error?: RunError;
};

/** What is recorded of a run's steps, in the order they were first recorded; the last try of each. */
export async function readSteps(db: Db, runId: string): Promise<Step[]> {
  return foldSteps(await readEvents(db, runId));
}

function foldSteps(events: readonly RunEvent[]): Step[] {
  const steps = new Map<string, Step>();
  for (const event of events) {
    if (!event.type.startsWith('step.')) continue;
    const { name, effect, attempt, startedAt, output, error } = event.data as StepData;
    const ended = event.type !== 'step.intended';
    steps.set(name, {
      name,
      effect,
      state: !ended ? 'running' : event.type === 'step.completed' ? 'completed' : 'failed',
      attempt: attempt ?? 1,
      output: output ?? null,
      error: error ?? null,
      startedAt: startedAt ?? event.at,
      finishedAt: ended ? event.at : null,
    });
  }
  return [...steps.values()];
}
