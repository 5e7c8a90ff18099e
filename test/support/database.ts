import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSql, migrate, neededMigrations, migrationsFolder, type Sql } from '@flowstate/store';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';

export type TestDatabase = { url: string; sql: Sql };

/** A migrated database of its own for one test file, cloned from a template and dropped at teardown. */
export async function createTestDatabase(
  t: Pick<Test, 'teardown'>,
  server: string = requiredEnv('DATABASE_URL'),
): Promise<TestDatabase> {
  const admin = createSql(server, { name: 'flowstate-test', max: 1 });
  const template = await ensureTemplate(admin, server);
  const name = `flowstate_test_${randomBytes(6).toString('hex')}`;
  await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY ${await quickestCopy(admin)}`);
  const url = withDatabase(server, name);
  const sql = createSql(url, { name: 'flowstate-test', max: 4 });
  t.teardown(async () => {
    await sql.end();
    await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.end();
  });
  return { url, sql };
}

/** The template is named after its migrations' content: a changed migration makes a new one. */
async function ensureTemplate(admin: Sql, server: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await neededMigrations())
    hash.update(file).update(await readFile(new URL(file, migrationsFolder)));
  const name = `flowstate_template_${hash.digest('hex').slice(0, 12)}`;
  // One builder at a time: test files start in parallel.
  await admin`SELECT pg_advisory_lock(7310240002)`;
  try {
    const [made] = await admin`SELECT 1 FROM pg_database WHERE datname = ${name} AND datistemplate`;
    if (made === undefined) {
      await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.unsafe(`CREATE DATABASE ${name}`);
      await migrate(withDatabase(server, name));
      await admin.unsafe(`ALTER DATABASE ${name} IS_TEMPLATE true`);
    }
  } finally {
    await admin`SELECT pg_advisory_unlock(7310240002)`;
  }
  return name;
}

/** Copying files takes half the CPU of logging every page, unless each of them is synced to disk. */
async function quickestCopy(admin: Sql): Promise<'file_copy' | 'wal_log'> {
  const [setting] = await admin<{ fsync: string }[]>`SHOW fsync`;
  return setting?.fsync === 'off' ? 'file_copy' : 'wal_log';
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
