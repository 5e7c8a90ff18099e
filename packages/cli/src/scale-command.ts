import { readFile } from 'node:fs/promises';
import {
  createCheck,
  FlowstateError,
  PolicyChanges,
  queueNames,
  type ScalingOverride,
  type ScalingStatus,
} from '@flowstate/contracts';
import { Argument, type Command } from 'commander';
import { withClient } from './connection.ts';
import { readDuration } from './duration.ts';
import type { GatewayClient } from './gateway-client.ts';
import { toNumber } from './json-input.ts';
import { bounds, differencesOf } from './scale/differences.ts';
import { addBaselineCommand } from './scale/baseline-command.ts';
import { addProposeCommand } from './scale/propose-command.ts';
import { addSimulateCommand } from './scale/simulate-command.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type OverrideOptions = { min?: string; max?: string; reason: string; for: string };

const header = ['QUEUE', 'DESIRED', 'REASON', 'LIVE', 'ACTIVE', 'WAITING', 'OLDEST', 'RUNS/S', 'PLACE HELD', 'BOUNDS'];

/** `flowstate scale status|propose|baseline|verify|override|restore|simulate`. */
export function addScaleCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const scale = program.command('scale').description('how many workers there should be, and by whose word');
  const { stdout } = terminal;
  addProposeCommand(scale, terminal, done);
  addBaselineCommand(scale, terminal);
  addSimulateCommand(scale, terminal);
  const read = async (client: GatewayClient) =>
    (await client.request<{ items: ScalingStatus[] }>('GET', '/api/admin/scaling')).items;

  scale
    .command('status')
    .description('what each queue asks for and gets, and why')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const items = await read(client);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else stdout.write(formatTable(header, items.map(rowOf)));
        if (items.some(({ state }) => state === null)) done(exitCodes.failed);
      });
    });

  scale
    .command('verify')
    .description("hold the live policy against the repository's; exit code 1 names each difference")
    .option('--policy <file>', 'JSON with what this installation means to have otherwise: its SCALING_POLICY')
    .action(async ({ policy }: { policy?: string }, self: Command) => {
      const meant = policy === undefined ? {} : await readPolicyFile(policy);
      await withClient(self, terminal, async (client) => {
        const differences = (await read(client)).flatMap((status) => differencesOf(status, meant));
        if (differences.length === 0) stdout.write('Scaling is normal: no override, no other policy.\n');
        else done(exitCodes.failed);
        stdout.write(differences.map((line) => `${line}\n`).join(''));
      });
    });

  scale
    .command('override')
    .description("set other bounds than the policy's for a while; they end by themselves")
    .addArgument(new Argument('<queue>').choices(queueNames))
    .option('--min <n>', 'workers at least')
    .option('--max <n>', 'workers at most; 0: none')
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .option('--for <time>', 'until they end: 30m, 4h, 2d', '1h')
    .action(async (queue: string, options: OverrideOptions, self: Command) => {
      const { min, max, reason } = options;
      const json = {
        ...(min !== undefined && { min: toNumber(min) }),
        ...(max !== undefined && { max: toNumber(max) }),
        reason,
        seconds: readDuration(options.for, '--for'),
      };
      await withClient(self, terminal, async (client) => {
        const made = await client.request<ScalingOverride>('PUT', `/api/admin/scaling/${queue}/override`, { json });
        stdout.write(`${made.queue}: ${bounds(made)} until ${made.expiresAt}\n`);
      });
    });

  scale
    .command('restore')
    .description('end overrides: autoscaling is back to its normal thresholds; then verifies that it is')
    .addArgument(new Argument('[queue]', 'only this one').choices(queueNames))
    .option('--policy <file>', 'JSON with what this installation means to have otherwise: its SCALING_POLICY')
    .action(async (queue: string | undefined, { policy }: { policy?: string }, self: Command) => {
      const meant = policy === undefined ? {} : await readPolicyFile(policy);
      await withClient(self, terminal, async (client) => {
        const query = queue === undefined ? '' : `?queue=${queue}`;
        const { restored } = await client.request<{ restored: string[] }>(
          'DELETE',
          `/api/admin/scaling/overrides${query}`,
        );
        stdout.write(restored.length === 0 ? 'There was no override.\n' : `Restored: ${restored.join(', ')}\n`);
        const looked = (await read(client)).filter((status) => queue === undefined || status.queue === queue);
        const differences = looked.flatMap((status) => differencesOf(status, meant));
        stdout.write(differences.map((line) => `${line}\n`).join(''));
        if (differences.length > 0) done(exitCodes.failed);
      });
    });
}

async function readPolicyFile(file: string): Promise<PolicyChanges> {
  try {
    return createCheck(PolicyChanges, { root: 'policy' })(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    const { message } = error as Error;
    throw new CommandError(error instanceof FlowstateError ? message : `--policy: ${message}`, exitCodes.usage);
  }
}

function rowOf({ queue, state, problem, override }: ScalingStatus): string[] {
  if (state === null) return [queue, '?', problem ?? ''];
  const { policy } = state;
  const asked = override === null ? '' : `, overridden: ${bounds(override)} until ${override.expiresAt}`;
  return [
    queue,
    String(state.desired),
    state.reason,
    String(state.liveWorkers),
    String(state.active),
    state.paused ? 'paused' : String(state.waiting),
    `${state.oldestAgeSeconds.toFixed(1)} s`,
    state.arrivalPerSecond.toFixed(2),
    state.serviceSeconds === null ? 'unknown' : `${state.serviceSeconds.toFixed(2)} s`,
    `${policy.min} to ${policy.max}${asked}`,
  ];
}
