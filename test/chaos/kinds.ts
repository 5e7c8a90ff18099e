import { cancelledRun } from './kinds/cancelled-run.ts';
import { flakySteps, retriedRun, selfRetryingRun } from './kinds/failing-steps.ts';
import { cancelledFamily, family } from './kinds/family.ts';
import { fanOut } from './kinds/fan-out.ts';
import { forkedRun } from './kinds/forked-run.ts';
import { keyedEffects } from './kinds/keyed-effects.ts';
import { mappedItems } from './kinds/mapped-items.ts';
import { delayedRun, lastingSteps, pureSteps, slowSteps } from './kinds/pure-steps.ts';
import { recordedValues } from './kinds/recorded-values.ts';
import { signalledRun } from './kinds/signalled-run.ts';
import { cancelledSleep, sleepingRun } from './kinds/sleeping-run.ts';
import { cancelledUnsafe, unsafeEffect } from './kinds/unsafe-effect.ts';

/** The mixed workload. Workers load the same folder for the workflows. */
export const kinds = [
  pureSteps,
  slowSteps,
  lastingSteps,
  delayedRun,
  keyedEffects,
  unsafeEffect,
  cancelledUnsafe,
  fanOut,
  mappedItems,
  flakySteps,
  retriedRun,
  selfRetryingRun,
  recordedValues,
  sleepingRun,
  cancelledSleep,
  signalledRun,
  family,
  cancelledFamily,
  forkedRun,
  cancelledRun,
];
