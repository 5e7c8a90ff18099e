import type { Command } from 'commander';
import type { Terminal } from './terminal.ts';

type AddCommand = (program: Command, terminal: Terminal, done: (code: number) => void) => void | Promise<void>;

/** In the order of the help. */
const commands: { names: string[]; load: () => Promise<AddCommand> }[] = [
  { names: ['import'], load: async () => (await import('./import-command.ts')).addImportCommand },
  { names: ['run'], load: async () => (await import('./run-command.ts')).addRunCommand },
  { names: ['runs'], load: async () => (await import('./runs-command.ts')).addRunsCommand },
  { names: ['schedules'], load: async () => (await import('./schedules-command.ts')).addSchedulesCommand },
  { names: ['audit'], load: async () => (await import('./audit-command.ts')).addAuditCommand },
  { names: ['migrate'], load: async () => (await import('./migrate-command.ts')).addMigrateCommand },
  { names: ['backup', 'restore'], load: async () => (await import('./backup-command.ts')).addBackupCommands },
  { names: ['admin'], load: async () => (await import('./admin-command.ts')).addAdminCommand },
  { names: ['users'], load: async () => (await import('./users-command.ts')).addUsersCommand },
  { names: ['keys'], load: async () => (await import('./keys-command.ts')).addKeysCommand },
  { names: ['secrets'], load: async () => (await import('./secrets-command.ts')).addSecretsCommand },
  { names: ['redis'], load: async () => (await import('./redis-command.ts')).addRedisCommand },
  { names: ['sessions'], load: async () => (await import('./sessions-command.ts')).addSessionsCommand },
  { names: ['access'], load: async () => (await import('./access-command.ts')).addAccessCommand },
  { names: ['contain', 'release'], load: async () => (await import('./contain-command.ts')).addContainCommands },
  { names: ['flags'], load: async () => (await import('./flags-command.ts')).addFlagsCommand },
  { names: ['limits'], load: async () => (await import('./limits-command.ts')).addLimitsCommand },
  { names: ['budgets'], load: async () => (await import('./budgets-command.ts')).addBudgetsCommand },
  { names: ['usage'], load: async () => (await import('./usage-command.ts')).addUsageCommand },
  { names: ['log-level'], load: async () => (await import('./log-level-command.ts')).addLogLevelCommand },
  { names: ['cache'], load: async () => (await import('./cache-command.ts')).addCacheCommand },
  { names: ['collections'], load: async () => (await import('./collections-command.ts')).addCollectionsCommand },
  { names: ['search'], load: async () => (await import('./search-command.ts')).addSearchCommand },
  { names: ['eval'], load: async () => (await import('./eval-command.ts')).addEvalCommand },
  { names: ['scale'], load: async () => (await import('./scale-command.ts')).addScaleCommand },
  { names: ['worker'], load: async () => (await import('./worker-command.ts')).addWorkerCommand },
  { names: ['check'], load: async () => (await import('./check-command.ts')).addCheckCommand },
  { names: ['incident'], load: async () => (await import('./incident-command.ts')).addIncidentCommand },
  { names: ['runbook'], load: async () => (await import('./runbook-command.ts')).addRunbookCommand },
];

/**
 * Adds the command that `args` begin with, else all of them: loading what the others need would be most of the time
 * that a command takes.
 */
export async function addCommands(
  [wanted = '']: string[],
  program: Command,
  terminal: Terminal,
  done: (code: number) => void,
): Promise<void> {
  const named = commands.filter(({ names }) => names.includes(wanted));
  for (const { load } of named.length > 0 ? named : commands) {
    const add = await load();
    await add(program, terminal, done);
  }
}
