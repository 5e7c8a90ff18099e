import { Command, CommanderError } from 'commander';
import { addCommands } from './commands.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** Runs one command line and answers its exit code; what went wrong is said in one clear line on stderr. */
export async function runCli(args: string[], terminal: Terminal): Promise<number> {
  const { stdout, stderr, signal } = terminal;
  let exitCode = 0;
  const done = (code: number) => (exitCode = code);
  const program = new Command('flowstate')
    .description('Operate Flowstate through its HTTP API.')
    .option('--url <address>', 'the gateway (FLOWSTATE_URL)')
    .option('--email <address>', 'whom to log in as (FLOWSTATE_EMAIL)')
    .option('--password-file <file>', 'a file with the password (or FLOWSTATE_PASSWORD, or a FLOWSTATE_TOKEN)')
    .addHelpText(
      'after',
      '\nIn a clone where `npm start` runs, none of these is needed: its demo admin is used.\n' +
        `Exit codes: 0 done, ${exitCodes.failed} failed or refused, ${exitCodes.usage} wrong usage, ` +
        `${exitCodes.rejected} rows rejected (import --strict).\n`,
    )
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .showHelpAfterError('(--help says more)');
  await addCommands(args, program, terminal, done);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
    if (signal.aborted) {
      stderr.write('Interrupted; what was stored or started stays.\n');
      return exitCodes.interrupted;
    }
    if (!(error instanceof CommandError)) throw error;
    stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}
