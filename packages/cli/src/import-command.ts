import { join } from 'node:path';
import { importEntities, type ImportEntity } from '@flowstate/contracts';
import type { Command } from 'commander';
import { connect, type ConnectionOptions } from './connection.ts';
import { importFile, type ImportRequest } from './import-file.ts';
import { createImportReport } from './import-report.ts';
import { presetNames, readMapping, readPreset } from './presets.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = ConnectionOptions & {
  mapping?: string;
  dryRun?: boolean;
  rejects?: string;
  encoding?: string;
  strict?: boolean;
};

/** `flowstate import <entity> <file>` and `flowstate import <preset> <folder>`. */
export async function addImportCommand(
  program: Command,
  terminal: Terminal,
  done: (exitCode: number) => void,
): Promise<void> {
  const presets = await Promise.all((await presetNames()).map(async (name) => [name, await readPreset(name)] as const));
  program
    .command('import')
    .description('import a CSV, NDJSON or JSON file, or a data set known by name; importing it again is safe')
    .argument('<what>', `${importEntities.join(', ')}; or a preset: ${presets.map(([name]) => name).join(', ')}`)
    .argument('<path>', 'the file; of a preset, the folder of its files')
    .option('--mapping <file>', 'JSON file that says how their columns become ours')
    .option('--dry-run', 'judge every row against what is stored, keep nothing')
    .option('--rejects <file>', 'write rejected rows there as NDJSON instead of to the terminal')
    .option('--encoding <name>', 'of the file, if it is not UTF-8 (windows-1252, utf-16le, …)')
    .option('--strict', `exit with ${exitCodes.rejected} when a row was rejected`)
    .addHelpText(
      'after',
      `\nPresets:\n${presets.map(([name, { description }]) => `  ${name.padEnd(16)} ${description}`).join('\n')}\n` +
        '\nA mapping, all parts optional:\n' +
        '  {"columns": {"externalId": "Account No", "name": "Account"}, "values": {"product": {"GTXPro": "GTX Pro"}},\n' +
        '   "defaults": {"country": "Norway"}, "scale": {"annualRevenue": 1000000}, "dateFormat": "DD.MM.YYYY",\n' +
        '   "delimiter": ";", "ignore": ["Fax"]}\n',
    )
    .action(async (what: string, path: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const requests = await requestsOf(
        what,
        path,
        options,
        presets.map(([name]) => name),
      );
      done(await importAll(requests, options, terminal));
      const notes = presets.find(([name]) => name === what)?.[1].notes ?? [];
      for (const note of notes) terminal.stdout.write(`Note: ${note}\n`);
    });
}

async function requestsOf(what: string, path: string, options: Options, presets: string[]): Promise<ImportRequest[]> {
  const common = { dryRun: options.dryRun ?? false, encoding: options.encoding };
  if (isEntity(what)) {
    const mapping = options.mapping === undefined ? {} : await readMapping(options.mapping);
    return [{ ...common, entity: what, file: path, mapping }];
  }
  if (!presets.includes(what)) {
    throw new CommandError(
      `import: ${what} is none of ${[...importEntities, ...presets].join(', ')} (see flowstate import --help)`,
      exitCodes.usage,
    );
  }
  if (options.mapping !== undefined) throw new CommandError('--mapping: a preset has its own', exitCodes.usage);
  const { files } = await readPreset(what);
  return files.map(({ file, entity, mapping }) => ({ ...common, entity, file: join(path, file), mapping }));
}

async function importAll(requests: ImportRequest[], options: Options, terminal: Terminal): Promise<number> {
  const client = await connect(options, terminal);
  const report = await createImportReport(terminal, options.rejects);
  let rejected = 0;
  try {
    for (const request of requests) {
      const summary = await importFile(client, request, report);
      report.summary(request.file, summary);
      rejected += summary.rejected;
    }
  } finally {
    await report.close();
    await client.close();
  }
  return options.strict && rejected > 0 ? exitCodes.rejected : 0;
}

function isEntity(text: string): text is ImportEntity {
  return (importEntities as readonly string[]).includes(text);
}
