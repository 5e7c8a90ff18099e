import { Command, CommanderError } from 'commander';
import { addAccessCommand } from './access-command.ts';
import { addAdminCommand } from './admin-command.ts';
import { addAuditCommand } from './audit-command.ts';
import { addBudgetsCommand } from './budgets-command.ts';
import { addBackupCommands } from './backup-command.ts';
import { addCacheCommand } from './cache-command.ts';
import { addCollectionsCommand } from './collections-command.ts';
import { addContainCommands } from './contain-command.ts';
import { addCheckCommand } from './check-command.ts';
import { addEvalCommand } from './eval-command.ts';
import { addFlagsCommand } from './flags-command.ts';
import { addIncidentCommand } from './incident-command.ts';
import { addImportCommand } from './import-command.ts';
import { addKeysCommand } from './keys-command.ts';
import { addLimitsCommand } from './limits-command.ts';
import { addLogLevelCommand } from './log-level-command.ts';
import { addMigrateCommand } from './migrate-command.ts';
import { addRedisCommand } from './redis-command.ts';
import { addRunbookCommand } from './runbook-command.ts';
import { addRunCommand } from './run-command.ts';
import { addRunsCommand } from './runs-command.ts';
import { addScaleCommand } from './scale-command.ts';
import { addSchedulesCommand } from './schedules-command.ts';
import { addSearchCommand } from './search-command.ts';
import { addSecretsCommand } from './secrets-command.ts';
import { addSessionsCommand } from './sessions-command.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';
import { addUsageCommand } from './usage-command.ts';
import { addUsersCommand } from './users-command.ts';
import { addWorkerCommand } from './worker-command.ts';

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
  await addImportCommand(program, terminal, done);
  addRunCommand(program, terminal, done);
  addRunsCommand(program, terminal, done);
  addSchedulesCommand(program, terminal);
  addAuditCommand(program, terminal, done);
  addMigrateCommand(program, terminal, done);
  addBackupCommands(program, terminal);
  addAdminCommand(program, terminal);
  addUsersCommand(program, terminal);
  addKeysCommand(program, terminal, done);
  addSecretsCommand(program, terminal, done);
  addRedisCommand(program, terminal);
  addSessionsCommand(program, terminal, done);
  addAccessCommand(program, terminal);
  addContainCommands(program, terminal, done);
  addFlagsCommand(program, terminal);
  addLimitsCommand(program, terminal);
  addBudgetsCommand(program, terminal);
  addUsageCommand(program, terminal);
  addLogLevelCommand(program, terminal);
  addCacheCommand(program, terminal);
  addCollectionsCommand(program, terminal);
  addSearchCommand(program, terminal, done);
  addEvalCommand(program, terminal, done);
  addScaleCommand(program, terminal, done);
  addWorkerCommand(program, terminal, done);
  addCheckCommand(program, terminal, done);
  addIncidentCommand(program, terminal, done);
  addRunbookCommand(program, terminal, done);
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
