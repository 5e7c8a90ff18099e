export { createSql, type Db, type Sql } from './client.ts';
export { migrate, migrationsFolder, missingMigrations, neededMigrations } from './migrate.ts';
