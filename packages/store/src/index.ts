export { createSql, type Db, type Sql } from './client.ts';
export { migrate, missingMigrations } from './migrate.ts';
