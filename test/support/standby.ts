import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { findPostgresProgram } from '@flowstate/local';
import { createSql } from '@flowstate/store';
import type { Test } from 'tap';
import { requiredEnv } from './environment.ts';
import { holdPort } from './held-port.ts';

const run = promisify(execFile);

export type Standby = {
  url: string;
  /** Of its postmaster. */
  pid: number;
  /** Ends it at once, as a machine that fails does. */
  kill(): Promise<void>;
};

/** A streaming replica of a Postgres that runs on this machine, with all that the primary has by now. */
export async function startStandby(t: Pick<Test, 'teardown'>, primaryUrl: string): Promise<Standby> {
  const program = await findPostgresProgram({
    cacheDir: requiredEnv('FLOWSTATE_CACHE'),
    log: () => {},
    signal: new AbortController().signal,
    env: { PATH: process.env.PATH },
  });
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-standby-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o711);
  const data = join(folder, 'data');
  const { uid, gid } = await copyOf(primaryUrl, data);
  const primary = new URL(primaryUrl);
  const port = await holdPort();
  const conninfo = `host=${primary.hostname} port=${primary.port} user=${primary.username} password=${primary.password}`;
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '300',
    timezone: 'GMT',
    log_timezone: 'GMT',
    fsync: 'off',
    jit: 'off',
    primary_conninfo: conninfo,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(join(program.bin, 'postgres'), ['-D', data, '-p', String(port), ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    cwd: '/',
    ...(process.getuid?.() === 0 && { uid, gid }),
  });
  const ended = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGQUIT');
    await ended;
  };
  t.teardown(kill);
  const said: string[] = [];
  // In either order: the copy may hold all it needs to answer, or get the last of that by the stream.
  const awaited = new Set(['started streaming WAL', 'ready to accept read-only connections']);
  for await (const line of createInterface(child.stderr)) {
    said.push(line);
    for (const words of awaited) if (line.includes(words)) awaited.delete(words);
    if (awaited.size > 0) continue;
    child.stderr.resume();
    const url = new URL(primaryUrl);
    url.port = String(port);
    return { url: url.href, pid: child.pid ?? 0, kill };
  }
  throw new Error(`the standby ended before it followed the primary:\n${said.slice(-5).join('\n')}`);
}

/** A base backup by copying; returns whose it is. */
async function copyOf(primaryUrl: string, data: string): Promise<{ uid: number; gid: number }> {
  const sql = createSql(primaryUrl, { name: 'flowstate-test', max: 1 });
  try {
    const [{ data_directory: source } = {}] = await sql<{ data_directory: string }[]>`SHOW data_directory`;
    if (source === undefined) throw new Error('the primary does not say where its data is');
    const { uid, gid } = await stat(source);
    await sql`SELECT pg_backup_start('standby', true)`;
    await run('cp', ['-a', source, data]);
    await rm(join(data, 'postmaster.pid'));
    const [{ labelfile } = {}] = await sql<{ labelfile: string }[]>`SELECT labelfile FROM pg_backup_stop(false)`;
    for (const [name, text] of Object.entries({ backup_label: labelfile ?? '', 'standby.signal': '' })) {
      await writeFile(join(data, name), text);
      await chown(join(data, name), uid, gid);
    }
    return { uid, gid };
  } finally {
    await sql.end();
  }
}
