import type { Containment, ContainmentReceipt } from '@flowstate/contracts';
import type { Command } from 'commander';
import { openContainAccess, type ContainAccess, type ContainOptions } from './contain-access.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = { reason?: string; list?: boolean; all?: boolean; json?: boolean };

const subject = 'user:<id or email>, or key:<id or prefix> for whoever acts by that API key';

/** `flowstate contain` and `flowstate release`, through the API, or with `--direct` on Postgres and Redis. */
export function addContainCommands(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const { stdout } = terminal;
  const command = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option('--direct', 'use Postgres and Redis (DATABASE_URL, REDIS_URL) instead of the gateway, when that is down')
      .option('--json', 'as JSON');

  async function withAccess(self: Command, work: (access: ContainAccess) => Promise<void>): Promise<void> {
    const access = await openContainAccess(self.optsWithGlobals<ContainOptions>(), terminal);
    try {
      await work(access);
    } finally {
      await access.close();
    }
  }
  const printJson = (value: unknown) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`);

  command('contain', 'take sessions, keys, streams and runs from a user; exit code 1 while somebody does not obey yet')
    .argument('[subject]', subject)
    .option('--reason <text>', 'why; it stands in the audit log')
    .option('--list', 'containments in force instead')
    .option('--all', 'with --list: released ones too')
    .action(async (named: string | undefined, { reason, list, all = false, json }: Options, self: Command) => {
      if (list) {
        await withAccess(self, async (access) => {
          const items = await access.list(all);
          if (json) printJson(items);
          else
            stdout.write(
              formatTable(['USER', 'SINCE', 'BY', 'RUNS', 'OBEYED', 'RELEASED', 'REASON'], items.map(rowOf)),
            );
        });
        return;
      }
      if (named === undefined) throw new CommandError(`contain: name whom: ${subject}`, exitCodes.usage);
      if (reason === undefined) throw new CommandError('contain: say why, by --reason', exitCodes.usage);
      await withAccess(self, async (access) => {
        const receipt = await access.contain(named, reason);
        if (json) printJson(receipt);
        else stdout.write(describe(receipt));
        if (receipt.obeyedMs === null) done(exitCodes.failed);
      });
    });

  command('release', "undo a containment: the user's runs go on, sessions and keys stay revoked")
    .argument('<subject>', subject)
    .action(async (named: string, { json }: Options, self: Command) => {
      await withAccess(self, async (access) => {
        const receipt = await access.release(named);
        if (json) printJson(receipt);
        else stdout.write(`${receipt.user} is released; ${receipt.runs} runs go on. ${receipt.note}.\n`);
      });
    });
}

function describe(receipt: ContainmentReceipt): string {
  const { user, sessions, families, keys, streams, runs, left, obeyedMs, processes } = receipt;
  const late = processes.filter((process) => process.obeyedMs === null);
  return (
    `${user} is contained (${receipt.id}):\n` +
    `  ended         ${sessions} sessions, ${families} refresh families, ${keys} API keys, ${streams} event streams\n` +
    `  in quarantine ${runs.running} running, ${runs.queued} queued, ${runs.waiting} waiting runs\n` +
    (obeyedMs === null
      ? `  NOT YET obeyed by ${late.map(nameOf).join(', ') || 'all'}${left === 0 ? '' : `; ${left} runs are held by somebody`}: contain again\n`
      : `  obeyed        by all ${processes.length} processes, the last after ${Math.round(obeyedMs)} ms\n`)
  );
}

function nameOf({ kind, id, host, pid, silentMs }: ContainmentReceipt['processes'][number]): string {
  return `${kind} ${id} (${host}, process ${pid}, last heard of ${(silentMs / 1000).toFixed(1)} s ago)`;
}

function rowOf({ user, containedAt, author, runs, obeyedMs, releasedAt, reason }: Containment): string[] {
  const inQuarantine = runs.running + runs.queued + runs.waiting;
  const obeyed = obeyedMs === null ? 'not by all' : `${Math.round(obeyedMs)} ms`;
  return [user, containedAt, author ?? 'direct', String(inQuarantine), obeyed, releasedAt ?? '', reason];
}
