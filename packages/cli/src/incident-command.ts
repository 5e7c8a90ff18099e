import { randomBytes } from 'node:crypto';
import type { IncidentDelivery } from '@flowstate/contracts';
import type { Command } from 'commander';
import { connectOnce } from './connect-once.ts';
import type { ConnectionOptions } from './connection.ts';
import { readDuration } from './duration.ts';
import { capture } from './incident/capture.ts';
import { createEvidenceFolder } from './incident/evidence-folder.ts';
import type { IncidentMessages } from './incident/messages.ts';
import { logDeliveries, readDelivered, readIncident } from './incident/read-folder.ts';
import { createRedact } from './incident/redact.ts';
import { toNumber } from './json-input.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Shared = ConnectionOptions & { direct?: boolean };
type CaptureOptions = Shared & { since: string; out?: string; subject?: string; samples: string; every: string };

/** `flowstate incident capture|notify|followup`. */
export function addIncidentCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const incident = program.command('incident').description('keep the evidence, tell who must know, file what is to do');
  const { stdout, stderr } = terminal;
  const command = (name: string, description: string) =>
    incident
      .command(name)
      .description(description)
      .option('--direct', 'use Postgres and Redis (DATABASE_URL, REDIS_URL) instead of the gateway, when that is down');

  command('capture', 'one folder with timeline, metrics, logs, Redis evidence, sessions and a summary')
    .option('--since <time>', 'so far back: 90s, 15m, 4h, 2d', '1h')
    .option('--out <folder>', 'a new folder; incidents/<id> without it')
    .option('--subject <user:id>', 'about this user only')
    .option('--samples <n>', 'how often metrics are read', '2')
    .option('--every <time>', 'with this between', '5s')
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<CaptureOptions>();
      const to = new Date();
      const from = new Date(to.getTime() - readDuration(options.since, '--since') * 1_000);
      const samples = { count: sampleCount(options.samples), everySeconds: readDuration(options.every, '--every') };
      const userId = userOf(options.subject);
      const id = `${to.toISOString().replace(/\..*/, '').replaceAll(':', '-')}-${randomBytes(3).toString('hex')}`;
      const { terminal: logged, options: shared, close } = await connectOnce(options, terminal);
      try {
        const redact = await createRedact(logged);
        const folder = await createEvidenceFolder(options.out ?? `incidents/${id}`, redact);
        const subject = options.subject ?? null;
        const record = await capture(id, {
          terminal: logged,
          options: shared,
          folder,
          redact,
          from,
          to,
          userId,
          samples,
          subject,
        });
        for (const { what, why } of record.missing) stderr.write(`missing: ${what}: ${why}\n`);
        stdout.write(
          `${folder.path}: ${record.files.length} files, ${record.missing.length} kinds of evidence missing\n`,
        );
      } finally {
        await close();
      }
    });

  command('notify', "send a folder's summary to the roles' owners by webhook; again: to those not reached yet")
    .argument('<folder>', 'what capture made')
    .action(async (folder: string, _options: unknown, self: Command) => {
      const { missing: _missing, files: _files, ...summary } = await readIncident(folder);
      const told = (await readDelivered(folder)).filter(({ roles }) => roles.length > 0);
      await withMessages(self, async (messages) => {
        const deliveries = await messages.notify({ summary, skip: told.map(({ id }) => id) });
        await logDeliveries(folder, deliveries);
        if (told.length > 0) stderr.write(`told already: ${told.map(({ to }) => to).join('; ')}\n`);
        print(deliveries, told.length > 0);
      });
    });

  command('followup', 'file tasks in the tracking system by webhook, each once')
    .argument('<folder>', 'what capture made')
    .requiredOption('--task <text...>', 'what is to be done')
    .option('--webhook <url>', 'of the tracking system (INCIDENT_WEBHOOK_URL)')
    .action(async (folder: string, options: { task: string[]; webhook?: string }, self: Command) => {
      const url = options.webhook ?? terminal.env.INCIDENT_WEBHOOK_URL;
      if (!url) throw new CommandError('followup needs --webhook or INCIDENT_WEBHOOK_URL', exitCodes.usage);
      const { id: incidentId } = await readIncident(folder);
      const delivered = new Set((await readDelivered(folder)).map(({ id }) => id));
      await withMessages(self, async (messages) => {
        const deliveries: IncidentDelivery[] = [];
        for (const task of options.task) {
          if (delivered.has(messages.taskId({ incident: incidentId, task, url }))) {
            stderr.write(`filed already: ${task}\n`);
            continue;
          }
          const filed = await messages.file({ incident: incidentId, task, url });
          await logDeliveries(folder, [filed]);
          if (filed.error === null) delivered.add(filed.id);
          deliveries.push(filed);
        }
        print(deliveries);
      });
    });

  async function withMessages(self: Command, work: (messages: IncidentMessages) => Promise<void>): Promise<void> {
    // Here and not above: it takes the services' runtime along, which other commands need not load.
    const { openIncidentMessages } = await import('./incident/messages.ts');
    const messages = await openIncidentMessages(self.optsWithGlobals<Shared>(), terminal);
    try {
      await work(messages);
    } finally {
      await messages.close();
    }
  }

  function print(deliveries: IncidentDelivery[], before = false): void {
    const rows = deliveries.map(({ to, roles, host, id, error }) => [
      to,
      roles.join(','),
      host ?? '',
      id,
      error ?? 'delivered',
    ]);
    stdout.write(formatTable(['TO', 'ROLES', 'HOST', 'MESSAGE', 'RESULT'], rows));
    const byHand = deliveries.filter(({ host }) => host === null);
    if (byHand.length > 0) stderr.write(`To be told by hand: ${byHand.map(({ to }) => to).join('; ')}\n`);
    // Who has no webhook is told otherwise; that nobody has one is a failure all the same.
    const sent = deliveries.filter(({ host }) => host !== null);
    const reached = before || sent.some(({ error }) => error === null) || deliveries.length === 0;
    if (!reached || sent.some(({ error }) => error !== null)) done(exitCodes.failed);
  }
}

function sampleCount(text: string): number {
  const count = toNumber(text);
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= 100) return count;
  throw new CommandError('--samples must be a number from 1 to 100', exitCodes.usage);
}

function userOf(subject: string | undefined): string | undefined {
  if (subject === undefined) return undefined;
  const [, id] = /^user:([0-9a-f-]{36})$/.exec(subject) ?? [];
  if (id !== undefined) return id;
  throw new CommandError(`--subject must be user:<id>, not ${JSON.stringify(subject)}`, exitCodes.usage);
}
