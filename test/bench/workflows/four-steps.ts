import { defineWorkflow, type StepOptions } from '@flowstate/workflow';
import Type from 'typebox';
import { outputOf, runStep, stepNames, type StepResult } from '../contenders/payload.ts';

const Text = Type.Object({ text: Type.String({ maxLength: 4096 }) });

export const fourSteps = fourStepWorkflow('bench-four-steps', 'Four pure steps', { effect: 'pure' });

/** A keyed step is durable before the next begins, and its intent before itself. */
export const fourStrictSteps = fourStepWorkflow('bench-four-strict-steps', 'Four steps, each awaited in the ledger', {
  effect: 'keyed',
});

function fourStepWorkflow(name: string, description: string, options: StepOptions) {
  return defineWorkflow({ name, version: '1', description, input: Text, output: Text }, async (ctx, { text }) => {
    const results: StepResult[] = [];
    for (const [step, stepName] of stepNames.entries()) {
      results.push(await ctx.step(stepName, () => runStep(step, text), options));
    }
    return outputOf(results);
  });
}
