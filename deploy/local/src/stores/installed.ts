import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { isRoot, openToAll, run } from '../../host.mjs';

/** A PostgreSQL that can be started: the folder of its programs and its major version. */
export type PostgresProgram = { bin: string; major: number };

/** `match_documents` relies on iterative scans, which pgvector 0.8 brought. */
const oldestVector = [0, 8];
export const oldestPostgres = 15;
const oldestRedis = [6, 2];

/** Every PostgreSQL with pgvector on this machine, the newest first. */
export async function findPostgres(env: NodeJS.ProcessEnv): Promise<PostgresProgram[]> {
  const packaged = ['/usr/lib/postgresql', '/usr', '/opt/homebrew/opt', '/usr/local/opt', '/usr/local']
    .flatMap((dir) => (existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name, 'bin')) : []))
    .filter((dir) => /\/(\d+|pgsql|pgsql-\d+|postgresql(@\d+)?)\/bin$/.test(dir));
  const bins = [...onPath('postgres', env), ...packaged.map((dir) => join(dir, 'postgres'))]
    .filter((file) => existsSync(file))
    .map((file) => dirname(realpathSync(file)));
  const found: PostgresProgram[] = [];
  for (const bin of new Set(bins)) {
    const major = await postgresVersion(bin);
    if (
      major !== undefined &&
      major >= oldestPostgres &&
      isUsable(join(bin, 'initdb')) &&
      (await hasVector(bin, major))
    ) {
      found.push({ bin, major });
    }
  }
  return found.toSorted((a, b) => b.major - a.major);
}

/** Major version of the `postgres` in this folder, or undefined when it does not run. */
export async function postgresVersion(bin: string): Promise<number | undefined> {
  const { code, stdout } = await run(join(bin, 'postgres'), ['--version']);
  const major = /(\d+)/.exec(stdout)?.[1];
  return code === 0 && major ? Number(major) : undefined;
}

async function hasVector(bin: string, major: number): Promise<boolean> {
  const configured = existsSync(join(bin, 'pg_config')) ? await run(join(bin, 'pg_config'), ['--sharedir']) : undefined;
  const prefix = dirname(bin);
  const shares = [
    configured?.stdout.trim() ?? '',
    `/usr/share/postgresql/${major}`,
    join(prefix, 'share/postgresql'),
    join(prefix, 'share'),
  ];
  const control = shares
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, 'extension/vector.control'))
    .find((file) => existsSync(file));
  return (
    control !== undefined &&
    isAtLeast(/default_version = '([\d.]+)'/.exec(readFileSync(control, 'utf8'))?.[1], oldestVector)
  );
}

/** A Redis (or Valkey) server on this machine that is new enough, or undefined. */
export async function findRedis(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const dirs = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin'];
  const files = ['redis-server', 'valkey-server'].flatMap((name) => [
    ...onPath(name, env),
    ...dirs.map((dir) => join(dir, name)),
  ]);
  for (const file of new Set(files.filter((path) => existsSync(path)))) {
    const { code, stdout } = await run(file, ['--version']);
    if (code === 0 && isUsable(file) && isAtLeast(/v=([\d.]+)/.exec(stdout)?.[1], oldestRedis)) return file;
  }
  return undefined;
}

/** Whether the user the servers run as can start it. */
function isUsable(file: string): boolean {
  return existsSync(file) && (!isRoot() || openToAll(realpathSync(file)));
}

function onPath(name: string, env: NodeJS.ProcessEnv): string[] {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((dir) => join(dir, name))
    .filter((file) => existsSync(file));
}

/** Compares dotted versions by their first two numbers. */
export function isAtLeast(version: string | undefined, [major = 0, minor = 0]: readonly number[]): boolean {
  const [found = -1, foundMinor = 0] = (version ?? '-1').split('.').map(Number);
  return found > major || (found === major && foundMinor >= minor);
}
