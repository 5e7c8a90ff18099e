import { createSql, migrate, missingMigrations } from '@flowstate/store';
import type { Command } from 'commander';
import { databaseUrl } from './connection.ts';
import { onStores } from './direct-stores.ts';
import type { Terminal } from './terminal.ts';

/** `flowstate migrate`: brings the database's schema forward, straight in Postgres. */
export function addMigrateCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const { stdout } = terminal;
  program
    .command('migrate')
    .description("bring the schema of Postgres forward (DATABASE_URL: its owner's login); safe to run twice or at once")
    .option('--check', 'only say what is missing; exit code 1 when something is')
    .action(async ({ check }: { check?: boolean }) => {
      const url = await databaseUrl(terminal);
      if (check) {
        const missing = await onStores(() => missingIn(url));
        stdout.write(missing.length === 0 ? 'nothing is missing\n' : `missing: ${missing.join(', ')}\n`);
        if (missing.length > 0) done(1);
        return;
      }
      const { applied } = await onStores(() => migrate(url));
      stdout.write(applied.length === 0 ? 'nothing to do\n' : `applied: ${applied.join(', ')}\n`);
    });
}

async function missingIn(url: string): Promise<string[]> {
  const sql = createSql(url, { name: 'flowstate-cli', max: 1 });
  try {
    return await missingMigrations(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
