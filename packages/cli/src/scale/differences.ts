import type { PolicyChanges, QueuePolicy, ScalingStatus } from '@flowstate/contracts';
import { defaultPolicies } from '@flowstate/scaling';

/**
 * What is not normal about a queue's scaling, one line each; none when it is. Normal is the repository's policy, with
 * what an installation means to have otherwise.
 */
export function differencesOf({ queue, state, problem, override }: ScalingStatus, meant: PolicyChanges = {}): string[] {
  const normal: QueuePolicy = { ...defaultPolicies[queue], ...meant[queue] };
  const fields = Object.keys(normal) as (keyof QueuePolicy)[];
  return [
    ...(override === null
      ? []
      : [
          `${queue}: overridden by ${override.author} until ${override.expiresAt}: ${bounds(override)} (${override.reason})`,
        ]),
    ...(state === null ? [`${queue}: nothing is decided: ${problem}`] : []),
    ...fields.flatMap((field) =>
      state === null || state.policy[field] === normal[field]
        ? []
        : [`${queue}: ${field} is ${show(state.policy[field])}, normal is ${show(normal[field])}`],
    ),
  ];
}

/** An override's bounds in words. */
export function bounds({ min, max }: { min: number | null; max: number | null }): string {
  return [...(min === null ? [] : [`min ${min}`]), ...(max === null ? [] : [`max ${max}`])].join(', ');
}

function show(value: number | null): string {
  return value === null ? 'not set' : String(value);
}
