import { randomBytes } from 'node:crypto';
import { readIfThere, writePrivate } from './private-file.ts';

export type LocalEnv = {
  DATABASE_URL: string;
  REDIS_URL: string;
  REDIS_CACHE_URL: string;
  /** The same database by logins that may do only what the services need. */
  APP_DATABASE_URL: string;
  WORKER_DATABASE_URL: string;
  JWT_SECRET: string;
  JWT_ISSUER: string;
  JWT_AUDIENCE: string;
  WORKER_API_KEY: string;
  WEBHOOK_SECRET: string;
  /** What an autoscaler shows the controller. */
  SCALER_TOKEN: string;
  DEMO_PASSWORD: string;
  GATEWAY_URL: string;
  /** Where their metrics are, for the CLI. */
  WORKER_URL: string;
  CONTROLLER_URL: string;
};

type Urls = Pick<
  LocalEnv,
  'DATABASE_URL' | 'REDIS_URL' | 'REDIS_CACHE_URL' | 'GATEWAY_URL' | 'WORKER_URL' | 'CONTROLLER_URL'
>;

const secret = (): string => randomBytes(32).toString('base64url');

/** What is made once and then kept. */
const made: Record<Exclude<keyof LocalEnv, keyof Urls | 'APP_DATABASE_URL' | 'WORKER_DATABASE_URL'>, () => string> = {
  JWT_SECRET: secret,
  JWT_ISSUER: () => 'flowstate',
  JWT_AUDIENCE: () => 'flowstate-api',
  WORKER_API_KEY: secret,
  WEBHOOK_SECRET: () => `whsec_${randomBytes(24).toString('base64')}`,
  SCALER_TOKEN: secret,
  DEMO_PASSWORD: () => randomBytes(12).toString('base64url'),
};

/**
 * Settings of this clone: a variable of the environment wins, then what the file kept, then a new random value.
 * The result is written back (`KEY=value` lines, only the owner may read them).
 */
export function settleLocalEnv(file: string, urls: Urls, env: NodeJS.ProcessEnv): LocalEnv {
  const kept = readEnvFile(file);
  const secrets = Object.entries(made).map(([name, make]) => [
    name,
    fromEnvironment(name, env) || kept[name] || make(),
  ]);
  const logins = ['APP_DATABASE_URL', 'WORKER_DATABASE_URL'].map((name) => [
    name,
    env[name] || loginUrl(name.startsWith('APP') ? 'app' : 'worker', urls.DATABASE_URL, kept[name]),
  ]);
  const settled = { ...urls, ...Object.fromEntries(logins), ...Object.fromEntries(secrets) } as LocalEnv;
  const lines = Object.entries(settled).map(([name, value]) => `${name}=${value}`);
  writePrivate(file, `# Made by npm start; npm run reset deletes it with the data.\n${lines.join('\n')}\n`);
  return settled;
}

/** `KEY=value` lines as they stand: unlike in a shell, nothing needs quoting. */
function readEnvFile(file: string): Record<string, string | undefined> {
  const lines = (readIfThere(file) ?? '').split('\n').filter((line) => /^[A-Z]/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** The variable's value, or the content of the file that `NAME_FILE` names. */
function fromEnvironment(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const file = env[`${name}_FILE`];
  return env[name] || (file ? readIfThere(file)?.trim() : undefined);
}

/** The same database with a login of its own, whose name and password are kept from last time. */
function loginUrl(group: string, databaseUrl: string, kept: string | undefined): string {
  const url = new URL(databaseUrl);
  const old = kept === undefined ? undefined : new URL(kept);
  // Roles belong to the whole server, which several clones may share.
  url.username = old?.username || `flowstate_${group}_${randomBytes(4).toString('hex')}`;
  url.password = old?.password || randomBytes(24).toString('base64url');
  return url.href;
}
