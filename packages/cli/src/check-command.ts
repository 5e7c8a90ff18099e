import type { Command } from 'commander';
import { checkAuthFailures } from './checks/auth-failures.ts';
import { checkDenials } from './checks/denials.ts';
import { checkHealth } from './checks/health.ts';
import { checkLatency } from './checks/latency.ts';
import { checkMetrics } from './checks/metrics.ts';
import { checkOwners } from './checks/owners.ts';
import { checkProbes } from './checks/probes.ts';
import { checkReplicas } from './checks/replicas.ts';
import { checkResources } from './checks/resources.ts';
import { checkSinks } from './checks/sinks.ts';
import { checkTraces } from './checks/traces.ts';
import { checkTraffic } from './checks/traffic.ts';
import type { Verdict } from './checks/verdict.ts';
import type { ConnectionOptions } from './connection.ts';
import { readDuration } from './duration.ts';
import { toNumber } from './json-input.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = ConnectionOptions & {
  since: string;
  during?: string;
  within: string;
  gateways: string;
  workers: string;
  atMost: string;
  direct?: boolean;
};

/** `flowstate check …`: one question each, with the evidence; exit code 1 when the answer is bad. */
export function addCheckCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const check = program.command('check').description('is it in order? each prints what it saw; exit code 1: it is not');
  const command = (name: string, description: string, work: (options: Options) => Promise<Verdict>) =>
    check
      .command(name)
      .description(description)
      .action(async (_options: unknown, self: Command) => {
        const { ok, summary, evidence } = await work(self.optsWithGlobals<Options>());
        terminal.stdout.write(`${ok ? 'ok' : 'NOT OK'}: ${summary}\n${evidence}`);
        if (!ok) done(exitCodes.failed);
      });
  const direct = 'ask Postgres (DATABASE_URL) instead of the gateway, when that is down';

  command('health', 'the gateway lives (/api/health)', (options) => checkHealth('health', options, terminal));
  command('ready', 'and can serve, with every dependency (/api/ready)', (options) =>
    checkHealth('ready', options, terminal),
  );
  command('probes', 'health, readiness and metrics of every process, as synthetic checks ask for them', (options) =>
    checkProbes(options, terminal),
  );
  command('secrets', 'the secrets this command can see are strong', async () => {
    // Here and not above: it takes the services' runtime along, which other commands need not load.
    const { checkSecrets } = await import('./checks/secrets.ts');
    return checkSecrets(terminal);
  });
  command('sinks', 'logs and audit entries leave the machine, and none was lost', (options) =>
    checkSinks(options, terminal),
  );
  command('owners', 'every role has an owner who can be reached', (options) => checkOwners(options, terminal)).option(
    '--direct',
    direct,
  );
  command('auth-failures', 'failed authentications and session mismatches of the last time', (options) =>
    checkAuthFailures(
      options,
      { sinceSeconds: readDuration(options.since, '--since'), atMost: most(options) },
      terminal,
    ),
  )
    .option('--since <time>', 'so far back', '1h')
    .option('--at-most <n>', 'more within one minute are too many', '20')
    .option('--direct', direct);
  command('denials', '403s on routes that are closed to some roles, while it looks or by Prometheus', (options) => {
    const during = options.during === undefined ? undefined : readDuration(options.during, '--during');
    return checkDenials(options, { duringSeconds: during, atMost: most(options) }, terminal);
  })
    .option('--during <time>', 'how long to look: 5s; with PROMETHEUS_URL so far back: 15m')
    .option('--at-most <n>', 'more in a minute are a spike', '60');
  command('traffic', 'requests and runs flow: rates, errors and saturation while it looks', (options) =>
    checkTraffic(options, { seconds: lookFor(options) }, terminal),
  ).option('--during <time>', 'how long to look', '5s');
  command(
    'latency',
    'answers come soon; else: which routes, the cache, match_documents with its plan, what to turn',
    (options) => checkLatency(options, { seconds: lookFor(options), atMostMs: most(options) }, terminal),
  )
    .option('--during <time>', 'how long to look', '10s')
    .option('--at-most <ms>', 'milliseconds that 95 of 100 answers of each route may take', '1000');
  command('traces', 'traces go out; else: flags, endpoint, collector, export queue', (options) =>
    checkTraces(options, terminal),
  );
  command('resources', 'CPU and memory of every process against what it has; else: what to raise', (options) =>
    checkResources(options, { seconds: lookFor(options) }, terminal),
  ).option('--during <time>', 'how long to look', '5s');
  command('replicas', 'every replica that runs is ready and scraped; else: which one is not', (options) =>
    checkReplicas(
      {
        ...options,
        withinSeconds: readDuration(options.within, '--within'),
        least: { gateway: count(options.gateways, '--gateways'), worker: count(options.workers, '--workers') },
      },
      terminal,
    ),
  )
    .option('--gateways <n>', 'so many run at least', '1')
    .option('--workers <n>', 'so many run at least', '1')
    .option('--within <time>', 'wait so long for those that have just been asked for', '30s');
  command('metrics', 'every target is up and every route measured; else: target, TLS, instrumentation', (options) =>
    checkMetrics(options, terminal),
  );
}

const lookFor = (options: Options) => readDuration(options.during ?? '5s', '--during');

function most({ atMost }: Options): number {
  const n = toNumber(atMost);
  if (typeof n === 'number' && n >= 0) return n;
  throw new CommandError('--at-most must be a number', exitCodes.usage);
}

function count(text: string, option: string): number {
  const n = toNumber(text);
  if (typeof n === 'number' && Number.isInteger(n) && n >= 0) return n;
  throw new CommandError(`${option} must be a whole number`, exitCodes.usage);
}
