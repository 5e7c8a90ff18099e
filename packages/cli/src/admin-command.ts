import { createFirstAdmin } from '@flowstate/security';
import { createSql } from '@flowstate/store';
import type { Command } from 'commander';
import { databaseUrl, readPassword, type ConnectionOptions } from './connection.ts';
import { directOperator, onStores } from './direct-stores.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

const shortest = 12;

/** `flowstate admin create`: the way in while nobody can administer yet; it goes straight to Postgres. */
export function addAdminCommand(program: Command, terminal: Terminal): void {
  program
    .command('admin')
    .description('the first administrator')
    .command('create')
    .description(
      'make the first administrator (--email, --password-file) in Postgres (DATABASE_URL); only while there is none',
    )
    .option('--name <name>', 'what to call them', 'Administrator')
    .action(async ({ name }: { name: string }, self: Command) => {
      const { email, passwordFile } = self.optsWithGlobals<ConnectionOptions>();
      if (email === undefined || !/^[^\s@]+@[^\s@]+$/.test(email)) {
        throw new CommandError('admin create: --email must be the new administrator’s address', exitCodes.usage);
      }
      if (passwordFile === undefined) {
        throw new CommandError('admin create: --password-file must name a file with the new password', exitCodes.usage);
      }
      const password = await readPassword(passwordFile);
      if (password.length < shortest) {
        throw new CommandError(`--password-file: the password needs at least ${shortest} characters`, exitCodes.usage);
      }
      const sql = createSql(await databaseUrl(terminal), { name: 'flowstate-cli', max: 1 });
      try {
        const admin = await onStores(() => createFirstAdmin(sql, { email, name, password, by: directOperator() }));
        if (admin === null) {
          throw new CommandError('There is an administrator already: make others with flowstate users create.');
        }
        terminal.stdout.write(`${admin.id} ${admin.email} ${admin.role}\n`);
      } finally {
        await sql.end({ timeout: 1 });
      }
    });
}
