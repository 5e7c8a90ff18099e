import type { ChaosOptions } from './chaos.ts';
import type { FarEnd } from './far-end.ts';
import type { Incident } from './faults.ts';
import type { Findings } from './findings.ts';
import type { Person } from './person.ts';
import type { KnownRun } from './reconcile.ts';
import { isTerminal, type RunRecord } from './run-record.ts';
import type { Fault } from './schedule.ts';
import type { Webhooks } from './webhooks.ts';
import type { Workload } from './workload.ts';

export type Report = {
  /** One line with all figures. */
  summary: string;
  violations: Violation[];
  /** Runs answered 202, found in the ledger though nobody heard an answer, or started by other runs. */
  all: number;
  terminal: number;
  /** How often a person settled a parked run. */
  settled: number;
  /** How often a run went on with another owner. */
  resumed: number;
};

/** What went wrong, and the run's events, its executions and what was done to the processes meanwhile. */
export type Violation = { what: string; story: string[] };

type Options = {
  options: ChaosOptions;
  records: KnownRun[];
  workload: Workload;
  webhooks: Webhooks;
  person: Person;
  farEnd: FarEnd;
  findings: Findings;
  incidents: Incident[];
  faults: Fault[];
  began: number;
};

export function summarise(seen: Options): Report {
  const { options, records, workload, webhooks, person, farEnd, findings, incidents, faults, began } = seen;
  const accepted = workload.records.filter((run) => run.accepted).length;
  const asked = new Set(workload.records);
  const unanswered = records.filter((run) => asked.has(run) && !run.accepted).length;
  const born = records.filter((run) => !asked.has(run)).length;
  const { happened, notHappened, wentOn } = person.settled;
  const settled = happened + notHappened + wentOn;
  const hooks = webhooks.counts();
  const all = accepted + unanswered + born;
  const terminal = records.filter((run) => run.state === 'ended').length;
  const recorded = records.reduce(
    (sum, { events }) => sum + events.filter(({ type }) => type === 'step.completed').length,
    0,
  );
  const resumed = records.reduce(
    (sum, { events }) => sum + events.filter(({ type }) => type === 'run.resumed').length,
    0,
  );
  const keyedCalls = farEnd.executions.filter(({ effect }) => effect === 'keyed').length;
  const sorts = [...Map.groupBy(faults, ({ name }) => name)].map(([name, of]) => `${name} ${of.length}`);
  const count = (pattern: RegExp) => findings.all.filter(({ text }) => pattern.test(text)).length;
  const figures = [
    `seed ${options.seed}`,
    `accepted ${accepted} (+ ${unanswered} without an answer + ${born} children and forks = ${all}), terminal ${terminal}, lost ${all - terminal}`,
    `steps recorded ${recorded}, executed ${farEnd.executions.length}, re-run after recorded ${count(/^finished step/)}`,
    `runs resumed ${resumed}, parked and settled ${settled} (happened ${happened}, not ${notHappened}, went on ${wentOn})`,
    `keyed effects ${farEnd.keyed.size} (${keyedCalls} calls), under two keys ${count(/ keys$/)}`,
    `unsafe effects ${farEnd.unsafe.length}, twice ${count(/^the unsafe effect/)}`,
    `keyed starts repeated ${workload.replays}`,
    `webhooks ${hooks.calls - hooks.repeated} (${hooks.calls} calls), wrong or missing ${count(/webhook/)}`,
    `faults ${faults.length} (${sorts.join(', ')})`,
    `died on their own ${count(/died/)}`,
    `violations ${findings.all.length}`,
    `${Math.round((Date.now() - began) / 1000)} s`,
  ];
  return {
    summary: figures.join('; '),
    violations: findings.all.map((finding) => describe(finding, records, incidents, farEnd)),
    all,
    terminal,
    settled,
    resumed,
  };
}

const clock = (at: number) => new Date(at).toISOString().slice(11, 23);

function describe(
  { text, runId, at }: Findings['all'][number],
  records: RunRecord[],
  incidents: Incident[],
  farEnd: FarEnd,
): Violation {
  const run = records.find(({ id }) => id !== undefined && id === runId);
  if (run === undefined) return { what: `${clock(at)} ${text}`, story: [] };
  const events = run.events.map(({ seq, type, data, seenAt }) => ({
    at: seenAt,
    line: `event ${seq} ${type} ${JSON.stringify(data)}`,
  }));
  const executions = farEnd.executions
    .filter((one) => one.run === runId)
    .map(({ beganAt, arrivedAt, endedAt, step, attempt }) => ({
      at: beganAt,
      line: `step ${step} began, attempt ${attempt} (reached the far end ${arrivedAt - beganAt} ms later, ${endedAt === null ? 'never ended' : `took ${endedAt - arrivedAt} ms`})`,
    }));
  const from = (executions[0]?.at ?? events[0]?.at ?? at) - 5_000;
  const until = run.events.find(isTerminal)?.seenAt ?? at;
  const faults = incidents
    .filter((one) => one.at > from && one.at < until + 5_000)
    .map(({ at, what }) => ({ at, line: `FAULT ${what}` }));
  const story = [...events, ...executions, ...faults].toSorted((a, b) => a.at - b.at);
  return {
    what: `run ${runId} (${run.kind.name}, ${run.ticket}): ${text}`,
    story: story.map(({ at, line }) => `${clock(at)} ${line}`),
  };
}
