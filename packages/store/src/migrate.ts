import { readdir, readFile } from 'node:fs/promises';
import { advisoryLocks } from './advisory-locks.ts';
import { createSql, type Db } from './client.ts';

export const migrationsFolder = new URL('../migrations/', import.meta.url);
/** SQLSTATE. */
const undefinedTable = '42P01';

/** Names of all migrations this version of the code needs, oldest first. */
export async function neededMigrations(): Promise<string[]> {
  return (await readdir(migrationsFolder)).filter((file) => /^\d{4}_.+\.sql$/.test(file)).toSorted();
}

/**
 * Brings the database's schema forward, one transaction per file, under an advisory lock so that several starters
 * may call it at once. Forward only; running it again does nothing. Returns what it applied.
 */
export async function migrate(databaseUrl: string): Promise<{ applied: string[] }> {
  const sql = createSql(databaseUrl, { max: 1, name: 'flowstate-migrate' });
  try {
    await sql`SELECT pg_advisory_lock(${advisoryLocks.migrations})`;
    await sql`CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`;
    const applied: string[] = [];
    for (const name of await missingMigrations(sql)) {
      const statements = await readFile(new URL(name, migrationsFolder), 'utf8');
      await sql.begin(async (tx) => {
        await tx.unsafe(statements);
        await tx`INSERT INTO schema_migrations (name) VALUES (${name})`;
      });
      applied.push(name);
    }
    return { applied };
  } finally {
    await sql.end();
  }
}

/** Migrations this code needs and the database lacks; a newer database is fine (expand, then contract). */
export async function missingMigrations(sql: Db): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`SELECT name FROM schema_migrations`.catch((error: { code?: string }) => {
    if (error.code === undefinedTable) return [];
    throw error;
  });
  const done = new Set(rows.map((row) => row.name));
  return (await neededMigrations()).filter((name) => !done.has(name));
}
