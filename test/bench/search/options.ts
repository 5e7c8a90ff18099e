import { parseArgs } from 'node:util';

/** How much and how long to measure. */
export type SearchPlan = {
  rounds: number;
  concurrency: number;
  /** The same of cached answers, beside `concurrency`: reads that requests share weigh less the more there are. */
  crowd: number;
  warmUpMs: number;
  windowMs: number;
  /** Documents with real embeddings. */
  real: number;
  /** Documents in all, once those made from them are there too. */
  grown: number;
  /** Questions asked again and again. */
  queries: number;
  /** Documents that are ingested against the model alone. */
  ingested: number;
};

const names = ['uncached', 'cached', 'ingest', 'replica', 'growth'] as const;
export type Part = (typeof names)[number];

export type SearchOptions = {
  plan: SearchPlan;
  json: string | undefined;
  profileDir: string | undefined;
  only: readonly string[];
};

const fullPlan: SearchPlan = {
  rounds: 3,
  concurrency: 8,
  crowd: 64,
  warmUpMs: 3_000, // code that runs a thousand times is compiled only then
  windowMs: 5_000,
  real: 10_000,
  grown: 100_000,
  queries: 500,
  ingested: 640,
};

/** Shows that everything works; its figures are too short to be believed. */
const quickPlan: SearchPlan = {
  ...fullPlan,
  rounds: 1,
  warmUpMs: 300,
  windowMs: 1_000,
  real: 1_000,
  grown: 3_000,
  queries: 50,
  ingested: 96,
};

export const optionsText = `    --json FILE      also writes the table as JSON, with the figures of every round
    --quick          two minutes: shows that it works, its figures mean little
    --only NAMES     some of ${names.join(', ')}, separated by commas
    --rounds N       each is measured N times, in turn, and medians are shown (${fullPlan.rounds})
    --concurrency N  requests or statements under way (${fullPlan.concurrency})
    --profile DIR    starts services with --cpu-prof and prints where the gateway spends its time
    The first run embeds ${fullPlan.real} texts, some ten minutes of one core; they are kept in .flowstate.`;

/** Reads what follows `npm run bench -- search`. Throws with the option's name when it cannot be. */
export function readOptions(args: string[]): SearchOptions {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      concurrency: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const base = values.quick ? quickPlan : fullPlan;
  const number = (name: 'rounds' | 'concurrency') => {
    const value = Number(values[name] ?? base[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1 on`);
    return value;
  };
  const plan = { ...base, rounds: number('rounds'), concurrency: number('concurrency') };
  const only = values.only?.split(',') ?? names;
  const unknown = only.find((name) => !(names as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`--only: there is no ${unknown}, only ${names.join(', ')}`);
  return { plan, json: values.json, profileDir: values.profile, only };
}
