import { InvalidArgumentError, type Command } from 'commander';
import { databaseUrl } from './connection.ts';
import { onStores } from './direct-stores.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

const mebibytes = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MiB`;

/** `flowstate backup` and `flowstate restore`: everything there is, straight in Postgres. Redis needs neither. */
export function addBackupCommands(program: Command, terminal: Terminal): void {
  const { stdout } = terminal;
  program
    .command('backup')
    .description(
      "everything in Postgres (DATABASE_URL: its owner's login) as of one moment, in one file, while all runs",
    )
    .argument(
      '<file>',
      'replaced when the new one is whole; with / at its end a folder, where it gets a name by its time',
    )
    .option('--keep <n>', 'of a folder: older ones than the newest <n> go, once the new one is whole', readKeep)
    .action(async (place: string, { keep }: { keep?: number }) => {
      const folder = place.endsWith('/');
      if (keep !== undefined && !folder)
        throw new CommandError('--keep is for a folder: end it with /', exitCodes.usage);
      const url = await databaseUrl(terminal);
      // Here and not above: it takes the services' runtime along, which other commands need not load.
      const { backUp } = await import('./backup/back-up.ts');
      const { backupIn, keepNewest } = await import('./backup/backup-folder.ts');
      const file = folder ? backupIn(place, new Date()) : place;
      const { at, unfinished, bytes, seconds } = await onStores(() => backUp(url, file, terminal));
      stdout.write(
        `${file}: everything accepted until ${at.toISOString()}, ${unfinished} unfinished runs among it, ` +
          `${mebibytes(bytes)} in ${seconds.toFixed(1)} s\n`,
      );
      if (keep === undefined) return;
      for (const old of await keepNewest(place, keep)) stdout.write(`${old}: removed\n`);
    });
  program
    .command('restore')
    .description(
      "into an empty database (DATABASE_URL: its owner's login); then start the services, with both Redis empty",
    )
    .argument('[file]', 'what backup wrote')
    .option(
      '--recovered',
      'the database came back by other means (base backup and WAL, a snapshot): make it fit to go on',
    )
    .action(async (file: string | undefined, { recovered = false }: { recovered?: boolean }) => {
      if (recovered === (file !== undefined)) {
        throw new CommandError('Give the file of a backup, or --recovered.', exitCodes.usage);
      }
      const url = await databaseUrl(terminal);
      const { adopt, restore } = await import('./backup/restore.ts');
      const { unfinished, finished, seconds } = await onStores(() =>
        file === undefined ? adopt(url) : restore(url, file, terminal),
      );
      stdout.write(
        `restored in ${seconds.toFixed(1)} s: ${unfinished} unfinished runs go on, ${finished} are finished. ` +
          'Empty both Redis (FLUSHALL) if they are not new, then start the services.\n',
      );
    });
}

function readKeep(text: string): number {
  const keep = Number(text);
  if (Number.isInteger(keep) && keep >= 1) return keep;
  throw new InvalidArgumentError('must be a whole number from 1 on.');
}
