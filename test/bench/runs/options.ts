import { parseArgs } from 'node:util';
import { fullPlan, quickPlan, type Plan } from './plan.ts';

export type RunsOptions = {
  plan: Plan;
  json: string | undefined;
  profileDir: string | undefined;
  only: readonly string[];
};

export const optionsText = `    --json FILE      also writes the table as JSON, with the figures of every round
    --quick          less than a minute: shows that it works, its figures mean little
    --only NAMES     some of bare, hand-written, product, strict, growth, separated by commas
    --rounds N       each contender is measured N times, in turn, and medians are shown (${fullPlan.rounds})
    --concurrency N  runs in a worker's hand at most, in all contenders (${fullPlan.concurrency})
    --in-flight N    runs under way when throughput is measured (${fullPlan.inFlight})
    --profile DIR    starts every process with --cpu-prof: profiles in DIR/<contender>/<process>.cpuprofile, to open in
                     Chrome's DevTools (Performance, Load profile); prints the functions with most time of their own
                     and, where pg_stat_statements is there, the costliest statements. Profiling slows down by itself.`;

export const names = ['bare', 'hand-written', 'product', 'strict', 'growth'] as const;

/** Reads what follows `npm run bench -- runs`. Throws with the option's name when it cannot be. */
export function readOptions(args: string[]): RunsOptions {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      concurrency: { type: 'string' },
      'in-flight': { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const base = values.quick ? quickPlan : fullPlan;
  const number = (name: 'rounds' | 'concurrency' | 'in-flight', fallback: number) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1 on`);
    return value;
  };
  const only = values.only?.split(',') ?? names;
  const unknown = only.find((name) => !(names as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`--only: there is no ${unknown}, only ${names.join(', ')}`);
  return {
    json: values.json,
    profileDir: values.profile,
    only,
    plan: {
      ...base,
      rounds: number('rounds', base.rounds),
      concurrency: number('concurrency', base.concurrency),
      inFlight: number('in-flight', base.inFlight),
    },
  };
}
