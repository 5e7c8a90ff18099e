import { outputOf, runStep, stepNames, type StepResult } from './payload.ts';
import { createWorker } from './worker.ts';

createWorker<{ input: { text: string } }, { text: string }>(
  async ({ data }) => {
    const results: StepResult[] = [];
    for (const step of stepNames.keys()) results.push(await runStep(step, data.input.text));
    return outputOf(results);
  },
  async () => {},
);
