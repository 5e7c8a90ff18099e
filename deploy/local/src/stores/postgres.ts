import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { Advice, endRecorded, removeFolder, run } from '../../host.mjs';
import { keepAlive, until, type Kept } from '../keep-alive.ts';
import { freePort } from '../ports.ts';
import { writePrivate } from '../private-file.ts';
import type { PostgresProgram } from './installed.ts';
import { openStoreLog, type StoreHome } from './store-home.ts';

const role = 'flowstate';
const database = 'flowstate';

/**
 * Starts a PostgreSQL server on its own data directory (made on first use) and a free loopback port.
 * The superuser `flowstate` owns the database `flowstate`.
 */
export async function startPostgres(program: PostgresProgram, home: StoreHome): Promise<{ url: string; kept: Kept }> {
  const data = join(home.dir, 'postgres');
  if (!existsSync(data)) await createCluster(program, home, data);
  const port = await freePort(home.ports.get('postgres'));
  home.ports.set('postgres', port);
  const url = `postgres://${role}:${home.password}@127.0.0.1:${port}/${database}`;
  const kept = keepAlive(
    {
      name: 'postgres',
      command: join(program.bin, 'postgres'),
      args: [
        '-D',
        data,
        '-p',
        String(port),
        ...Object.entries({ ...settings, ...(home.ephemeral && forgetful) }).flatMap(([name, value]) => [
          '-c',
          `${name}=${value}`,
        ]),
      ],
      env: serverEnv,
      user: home.user,
      address: `127.0.0.1:${port}`,
      onLine: openStoreLog(home, 'postgres'),
      ready: (signal) => until(() => ensureDatabase(url), { signal, timeoutMs: 60_000, what: 'postgres' }),
      graceMs: 20_000,
    },
    home,
  );
  const patient = { ...kept, up: (signal?: AbortSignal) => upOnFreedData(kept, signal) };
  await patient.up(home.signal);
  return { url, kept: patient };
}

/** For data that ends with its process: killed, it still has all that was committed; a machine that loses power need not. */
const forgetful = {
  fsync: 'off',
  full_page_writes: 'off',
  // Where its data is in memory, the log must not fill that.
  max_wal_size: '256MB',
};

/** What differs from PostgreSQL's defaults. Durability (fsync, synchronous_commit) stays on. */
const settings = {
  listen_addresses: '127.0.0.1',
  // A socket's path has a length limit that a deep clone exceeds.
  unix_socket_directories: '',
  max_connections: '300',
  jit: 'off',
  // The one zone Postgres knows without the system's tzdata, which small images lack.
  timezone: 'GMT',
  log_timezone: 'GMT',
  log_checkpoints: 'off',
};

/** Nothing of the user's environment: PGDATA, PGPORT or a locale the libraries lack would change the server. */
const serverEnv = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C', LC_ALL: 'C' };

async function createCluster(program: PostgresProgram, home: StoreHome, data: string): Promise<void> {
  home.log(`Creating the database in ${data} …`);
  const draft = `${data}.partial`;
  const passwordFile = join(home.dir, 'initdb-password');
  const record = join(home.dir, 'initdb.pid');
  await endRecorded(record);
  removeFolder(draft);
  mkdirSync(draft, { mode: 0o700 });
  if (home.user) chownSync(draft, home.user.uid, home.user.gid);
  writePrivate(passwordFile, home.password, home.user);
  try {
    const locale =
      program.major >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C'];
    const auth = [`--username=${role}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    const speed = home.ephemeral ? ['--no-sync'] : [];
    const result = await run(
      join(program.bin, 'initdb'),
      ['-D', draft, '--encoding=UTF8', ...locale, ...auth, ...speed],
      {
        signal: home.signal,
        record,
        env: serverEnv,
        cwd: '/',
        ...home.user,
      },
    );
    if (result.code !== 0)
      throw new Advice(`PostgreSQL could not create its data in ${data}: ${firstError(result.stderr)}`);
    renameSync(draft, data);
  } finally {
    rmSync(passwordFile, { force: true });
    removeFolder(draft);
  }
}

/** A server killed a moment ago may still hold its data: its last children take a while to notice. */
async function upOnFreedData(kept: Kept, signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await kept.up(signal);
    } catch (error) {
      const held = /lock file "postmaster.pid"|shared memory block|is still in use/.test((error as Error).message);
      if (!held || attempt === 40) throw error;
      await new Promise((wake) => setTimeout(wake, 250));
    }
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const sql = postgres(url.replace(/[^/]+$/, 'postgres'), {
    max: 1,
    connect_timeout: 5,
    onnotice: () => undefined,
  });
  try {
    const found = await sql`SELECT 1 FROM pg_database WHERE datname = ${database}`;
    if (found.length === 0) await sql`CREATE DATABASE ${sql(database)}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Major version that wrote the data directory, or undefined when there is none yet. */
export function dataVersion(home: StoreHome): number | undefined {
  const file = join(home.dir, 'postgres', 'PG_VERSION');
  return existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

function firstError(text: string): string {
  const lines = text.trim().split('\n');
  return lines.find((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? 'no reason given';
}
