import { auditOutcomes, type AuditEraseAnswer, type AuditRecord, type AuditVerdict } from '@flowstate/contracts';
import { Option, type Command } from 'commander';
import { createAuditAccess, type AuditAccess } from './audit-access.ts';
import type { ConnectionOptions } from './connection.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = ConnectionOptions & { direct?: boolean };

/** `flowstate audit list|export|verify|erase`, through the API, or with `--direct` against Postgres. */
export function addAuditCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const audit = program.command('audit').description('who did what, and the proof that nobody touched it');
  const { stdout, stderr } = terminal;
  const printJson = (value: unknown) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  const command = (name: string, description: string) =>
    audit
      .command(name)
      .description(description)
      .option('--direct', 'ask Postgres (DATABASE_URL) instead of the gateway, when that is down');

  async function withAccess(command: Command, work: (access: AuditAccess) => Promise<void>): Promise<void> {
    const access = await createAuditAccess(command.optsWithGlobals<Options>(), terminal);
    try {
      await work(access);
    } finally {
      await access.close();
    }
  }

  addFilters(command('list', 'entries, newest first'))
    .option('--limit <n>', 'at most so many, up to 200', '50')
    .option('--json', 'as JSON')
    .action(async (options: Record<string, string> & { json?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const limit = Number(options['limit']);
        if (!Number.isInteger(limit) || limit < 1 || limit > 200) {
          throw new CommandError('--limit must be a number from 1 to 200', exitCodes.usage);
        }
        const items = await access.list(filterOf(options), limit);
        if (options.json) printJson(items);
        else
          stdout.write(
            formatTable(['AT', 'ACTION', 'OUTCOME', 'ACTOR', 'SUBJECT', 'FROM', 'DETAILS'], items.map(entryRow)),
          );
      });
    });

  addFilters(command('export', 'entries of a time as JSON lines, oldest first')).action(
    async (options: Record<string, string>, self: Command) => {
      await withAccess(self, async (access) => {
        for await (const lines of access.export(filterOf(options))) stdout.write(lines);
      });
    },
  );

  command('verify', 'recompute the hash chain; exit code 1 when a row was changed, removed or inserted')
    .option('--head <hash>', 'a chain head noted earlier, which must be in the chain')
    .option('--json', 'as JSON')
    .action(async ({ head, json }: { head?: string; json?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const verdict = await access.verify(head);
        if (json) printJson(verdict);
        else stdout.write(describeVerdict(verdict));
        if (!verdict.ok) done(exitCodes.failed);
      });
    });

  command('erase', "erase a person's address, e-mail and user agent; entries and chain stay")
    .requiredOption('--subject <user>', 'user id or e-mail address')
    .action(async ({ subject }: { subject: string }, self: Command) => {
      await withAccess(self, async (access) => {
        const answer: AuditEraseAnswer = await access.erase(subject);
        stderr.write(`Erased what ${answer.entries} entries said about ${answer.subject}.\n`);
      });
    });
}

function addFilters(command: Command): Command {
  return command
    .option('--from <time>', 'not before (ISO 8601)')
    .option('--to <time>', 'before (ISO 8601)')
    .option('--actor <user>', 'only by this user id')
    .option('--subject <id>', 'only about this')
    .option('--action <name>', 'only of this kind')
    .addOption(new Option('--outcome <outcome>', 'only with this outcome').choices(auditOutcomes));
}

function filterOf(options: Record<string, string>): Record<string, string> {
  for (const name of ['from', 'to']) {
    const time = options[name];
    if (time !== undefined && Number.isNaN(Date.parse(time))) {
      throw new CommandError(`--${name} must be a time such as 2026-11-01T00:00:00Z, not ${time}`, exitCodes.usage);
    }
  }
  const names = ['from', 'to', 'actor', 'subject', 'action', 'outcome'];
  return Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));
}

function entryRow({ at, action, outcome, actor, subject, personal, details }: AuditRecord): string[] {
  const { address = '' } = (personal ?? {}) as { address?: string };
  return [at, action, outcome, actor ?? '', subject ?? '', address, details === null ? '' : JSON.stringify(details)];
}

function describeVerdict({ ok, head, seals, entries, pending, erased, findings }: AuditVerdict): string {
  const summary =
    `${ok ? 'untouched' : 'TOUCHED'}: ${entries} entries in ${seals} seals, ${pending} not sealed yet, ` +
    `personal data erased from ${erased}\n${head === null ? '' : `head: seal ${head.number} ${head.hash}\n`}`;
  if (ok) return summary;
  const rows = findings.map(({ kind, entry, seal, detail }) => [kind, entry ?? '', String(seal ?? ''), detail]);
  return summary + formatTable(['FOUND', 'ENTRY', 'SEAL', ''], rows);
}
