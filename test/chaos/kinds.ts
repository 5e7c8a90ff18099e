import { cancelledRun } from './kinds/cancelled-run.ts';
import { flakySteps, retriedRun } from './kinds/failing-steps.ts';
import { fanOut } from './kinds/fan-out.ts';
import { keyedEffects } from './kinds/keyed-effects.ts';
import { delayedRun, pureSteps, slowSteps } from './kinds/pure-steps.ts';
import { recordedValues } from './kinds/recorded-values.ts';
import { unsafeEffect } from './kinds/unsafe-effect.ts';

/** The mixed workload. Workers load the same folder for the workflows. */
export const kinds = [
  pureSteps,
  slowSteps,
  delayedRun,
  keyedEffects,
  unsafeEffect,
  fanOut,
  flakySteps,
  retriedRun,
  recordedValues,
  cancelledRun,
];
