import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Option, type Command } from 'commander';
import { confirmed } from './confirm.ts';
import { connectOnce } from './connect-once.ts';
import type { ConnectionOptions } from './connection.ts';
import { createRedact, type Redact } from './incident/redact.ts';
import { parseRunbook, type RunbookStep } from './runbook/parse-runbook.ts';
import { reasonToSkip, runRunbook, type StepReport } from './runbook/run-runbook.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = ConnectionOptions & {
  subject?: string;
  reason: string;
  incident?: string;
  set?: string[];
  only?: string;
  act?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
};

/** `flowstate runbook <name>`: follows `deploy/runbooks/<name>.md`. */
export function addRunbookCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  program
    .command('runbook')
    .description('follow a runbook step by step and print pass or fail with the evidence; exit code 1 when one fails')
    .argument('<name>', 'security, monitoring, scaling, or the path of a Markdown file')
    .option('--dry-run', 'say what would be run')
    .option('--only <text>', 'only steps whose chapter or title has this text')
    .option('--subject <user:id>', 'whom the incident is about: steps that change something are run too')
    .option('--act', 'steps that change something are run too, without anybody it is about')
    .option('--reason <text>', 'why; it stands in the audit log', 'incident')
    .option('--incident <folder>', 'the folder evidence goes to (with --subject a new one of its own)')
    .addOption(new Option('--set <NAME=value...>', 'a variable a step needs, e.g. KID=…').default([], 'none'))
    .option('--yes', 'do not ask before steps that change something')
    .option('--json', 'as JSON')
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const { only, act = false, dryRun = false, yes = false, json = false, subject } = options;
      const steps = (await readRunbook(name)).filter((step) => has(step, only));
      if (steps.length === 0) throw new CommandError(`--only: no step has "${only}"`, exitCodes.usage);
      const variables = variablesFrom(options);
      const respond = act || subject !== undefined;
      const changing = steps.filter((step) => step.changes !== null && reasonToSkip(step, variables, respond) === null);
      if (changing.length > 0 && !dryRun && !yes) {
        const what = changing.map(({ title, changes }) => `\n  ${title}: ${changes}`).join('');
        if (!(await confirmed(`This changes something:${what}\nGo on?`, terminal))) {
          terminal.stderr.write('Nothing was done.\n');
          return done(exitCodes.failed);
        }
      }
      const reports = await withLogin(self, terminal, dryRun, async ({ env, signal }, redact) => {
        const reports: StepReport[] = [];
        for await (const report of runRunbook(steps, { env, signal, variables, respond, dryRun, redact })) {
          if (!json) terminal.stdout.write(describe(report, reports.at(-1)));
          reports.push(report);
        }
        return reports;
      });
      if (json) terminal.stdout.write(`${JSON.stringify({ runbook: name, variables, steps: reports }, null, 2)}\n`);
      else terminal.stdout.write(`\n${summary(reports)}\n`);
      if (reports.some(({ state }) => state === 'failed')) done(exitCodes.failed);
    });
}

/** One login stands for all steps: each logging in by itself would look like an attack. */
async function withLogin<T>(
  self: Command,
  terminal: Terminal,
  dryRun: boolean,
  work: (logged: Terminal, redact: Redact) => Promise<T>,
): Promise<T> {
  if (dryRun) return work(terminal, (text) => text);
  const { terminal: logged, close } = await connectOnce(self.optsWithGlobals<Options>(), terminal);
  try {
    return await work(logged, await createRedact(logged));
  } finally {
    await close();
  }
}

async function readRunbook(name: string): Promise<RunbookStep[]> {
  const file = name.endsWith('.md')
    ? name
    : fileURLToPath(new URL(`../../../deploy/runbooks/${encodeURIComponent(name)}.md`, import.meta.url));
  try {
    return parseRunbook(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CommandError(`The runbook ${file} cannot be followed: ${(error as Error).message}`, exitCodes.usage);
  }
}

function has({ chapter, title }: RunbookStep, text = ''): boolean {
  return `${chapter}\n${title}`.toLowerCase().includes(text.toLowerCase());
}

function variablesFrom({ subject, reason, incident, set = [] }: Options): Record<string, string> {
  if (subject !== undefined && !/^user:[^\s:]+$/.test(subject)) {
    throw new CommandError(`--subject must be user:<id>, not ${JSON.stringify(subject)}`, exitCodes.usage);
  }
  const given = set.map((pair) => {
    const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.+)$/s.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      throw new CommandError(`--set must be NAME=value, not ${JSON.stringify(pair)}`, exitCodes.usage);
    }
    return [name, value] as const;
  });
  const own = `incidents/${new Date().toISOString().replace(/\..*/, '').replaceAll(':', '-')}`;
  const folder = incident ?? (subject === undefined ? undefined : own);
  return {
    REASON: reason,
    ...(subject !== undefined && { SUBJECT: subject }),
    ...(folder !== undefined && { INCIDENT: folder }),
    ...Object.fromEntries(given),
  };
}

const marks = { passed: '✓', failed: '✗', skipped: '-', 'would run': '·' } as const;

function describe(report: StepReport, last: StepReport | undefined): string {
  const { chapter, title, state, command, why, advice, evidence, changes, seconds } = report;
  const heading = chapter === last?.chapter ? '' : `${last === undefined ? '' : '\n'}${chapter}\n`;
  const took = state === 'passed' || state === 'failed' ? ` (${seconds.toFixed(1)} s)` : '';
  const lines = [
    `  ${marks[state]} ${title}${took}${why === null ? '' : `: ${why}`}`,
    ...(state === 'skipped' ? [] : command.split('\n').map((line) => `      $ ${line}`)),
    ...(state === 'would run' && changes !== null ? [`      changes ${changes}`] : []),
    ...evidence
      .split('\n')
      .filter(Boolean)
      .map((line) => `      ${line}`),
    ...(advice === '' ? [] : [`      → ${advice}`]),
  ];
  return `${heading}${lines.join('\n')}\n`;
}

function summary(reports: StepReport[]): string {
  const count = (state: StepReport['state']) => reports.filter((report) => report.state === state).length;
  const states = ['passed', 'failed', 'skipped', 'would run'] as const;
  return states.flatMap((state) => (count(state) > 0 ? [`${count(state)} ${state}`] : [])).join(', ');
}
