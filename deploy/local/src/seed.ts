import { seedDemoUsers } from '@flowstate/security';
import { createSql, type Sql } from '@flowstate/store';
import type { LocalEnv } from './local-env.ts';

/** Settings and the group roles, made by the migrations, whose members they log in. */
const logins = { APP_DATABASE_URL: 'flowstate_app', WORKER_DATABASE_URL: 'flowstate_worker' } as const;

type Options = { log: (line: string) => void; env: NodeJS.ProcessEnv };

/**
 * Makes the services' logins and one demo user per role; running it again changes nothing. Returns the settings as
 * they can be used: where the database's owner may not create roles, the services use the owner's login.
 */
export async function seed(settings: LocalEnv, { log, env }: Options): Promise<LocalEnv> {
  const sql = createSql(settings.DATABASE_URL, { max: 1, name: 'flowstate-seed' });
  const usable = { ...settings };
  try {
    for (const [name, group] of Object.entries(logins) as [keyof typeof logins, string][]) {
      // One given from outside was made by whoever gave it.
      if (env[name] || (await createLogin(sql, settings[name], group))) continue;
      log(`The owner of this database may not create roles: ${name} is the owner's, with more rights than needed`);
      usable[name] = settings.DATABASE_URL;
    }
    await seedDemoUsers(sql, { password: settings.DEMO_PASSWORD });
  } finally {
    await sql.end();
  }
  return usable;
}

const insufficientPrivilege = '42501';
const undefinedObject = '42704';

async function createLogin(sql: Sql, url: string, group: string): Promise<boolean> {
  const { username, password } = new URL(url);
  try {
    const [existing] = await sql`SELECT 1 FROM pg_roles WHERE rolname = ${username}`;
    // Neither can be a parameter here; both are ours, made of [A-Za-z0-9_-].
    await sql.unsafe(`${existing ? 'ALTER' : 'CREATE'} ROLE "${username}" LOGIN PASSWORD '${password}'`);
    await sql.unsafe(`GRANT ${group} TO "${username}"`);
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === insufficientPrivilege || code === undefinedObject) return false;
    throw error;
  }
}
