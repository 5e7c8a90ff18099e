import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { unpackPgbouncer } from '@flowstate/local';
import { ledgerSettings } from '@flowstate/store';
import type { Test } from 'tap';
import { isRoot } from '../../deploy/local/host.mjs';
import { requiredEnv } from './environment.ts';
import { holdPort } from './held-port.ts';

/** Path of PgBouncer, fetched once into the cache; the reason where there is no way to get it. */
export async function findPgbouncer(): Promise<{ program: string } | string> {
  try {
    const folder = await unpackPgbouncer({
      cacheDir: requiredEnv('FLOWSTATE_CACHE'),
      log: () => {},
      signal: new AbortController().signal,
      env: { PATH: process.env.PATH },
    });
    return { program: join(folder, 'pgbouncer') };
  } catch (error) {
    return `no PgBouncer to be had here: ${(error as Error).message}`;
  }
}

type Options = {
  program: string;
  /** The database behind it. */
  databaseUrl: string;
  /** Connections to Postgres for each of its two databases. */
  poolSize: number;
};

/** PgBouncer in transaction mode before one database, set up as `deploy/capacity.md` says; returns its address. */
export async function startPgbouncer(
  t: Pick<Test, 'teardown'>,
  { program, databaseUrl, poolSize }: Options,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-pgbouncer-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const name = pathname.slice(1);
  const listenPort = await holdPort();
  const server = `host=${hostname} port=${port} dbname=${name} user=${username} password=${decodeURIComponent(password)}`;
  const settings = Object.entries(ledgerSettings).map(([setting, value]) => `SET ${setting} = ${value}`);
  const ini = [
    '[databases]',
    `${name} = ${server}`,
    `${name}_ledger = ${server} connect_query='${settings.join('; ')}'`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1`,
    `listen_port = ${listenPort}`,
    'unix_socket_dir =',
    'auth_type = plain',
    `auth_file = ${join(folder, 'users')}`,
    `admin_users = ${username}`,
    'pool_mode = transaction',
    'max_prepared_statements = 500',
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 1000',
  ];
  await writeFile(join(folder, 'pgbouncer.ini'), `${ini.join('\n')}\n`);
  await writeFile(join(folder, 'users'), `"${username}" "${decodeURIComponent(password)}"\n`);
  // It refuses root, and whom it becomes must be able to read this.
  await chmod(folder, 0o755);
  const user = isRoot() ? ['--user=nobody'] : [];
  const child = spawn(program, [...user, join(folder, 'pgbouncer.ini')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGINT');
    await ended;
  });
  const said: string[] = [];
  for await (const line of createInterface(child.stderr)) {
    said.push(line);
    if (!line.includes('process up')) continue;
    child.stderr.resume();
    return `postgres://${username}:${password}@127.0.0.1:${listenPort}/${name}?pgbouncer=true`;
  }
  throw new Error(`PgBouncer ended before it listened:\n${said.slice(-5).join('\n')}`);
}
