import { seedDemoUsers } from '@flowstate/security';
import { createSql } from '@flowstate/store';
import type { LocalEnv } from './local-env.ts';

/** The group role that migrations give the ledger and nothing else. */
const workerGroup = 'flowstate_worker';

/** Creates the workers' login and one demo user per role; running it again changes nothing but their passwords. */
export async function seed(settings: LocalEnv): Promise<void> {
  const sql = createSql(settings.DATABASE_URL, { max: 1, name: 'flowstate-seed' });
  try {
    const { username, password } = new URL(settings.WORKER_DATABASE_URL);
    const [existing] = await sql`SELECT 1 FROM pg_roles WHERE rolname = ${username}`;
    // A role's password cannot be a parameter; both are ours, made of [A-Za-z0-9_-].
    await sql.unsafe(`${existing ? 'ALTER' : 'CREATE'} ROLE "${username}" LOGIN PASSWORD '${password}'`);
    await sql.unsafe(`GRANT ${workerGroup} TO "${username}"`);
    await seedDemoUsers(sql, { password: settings.DEMO_PASSWORD });
  } finally {
    await sql.end();
  }
}
