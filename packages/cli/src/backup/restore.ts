import { pipeline } from 'node:stream/promises';
import { createAuditedChange } from '@flowstate/security';
import { afterRestore, beforeRestore, countRuns, createSql, hasSchema, servicesOn, type Sql } from '@flowstate/store';
import { directOperator } from '../direct-stores.ts';
import { CommandError, type Terminal } from '../terminal.ts';
import { startTool } from './postgres-tools.ts';

export type Restored = { unfinished: number; finished: number; seconds: number };

/**
 * Brings a backup into an empty database, whole or not at all, and makes it fit to go on from. Throws a `CommandError`
 * where there is something already.
 */
export async function restore(databaseUrl: string, file: string, terminal: Terminal): Promise<Restored> {
  const begun = performance.now();
  const sql = createSql(databaseUrl, { name: 'flowstate-cli', max: 1 });
  try {
    if (await hasSchema(sql)) {
      throw new CommandError('This database holds a Flowstate already: restore into a new, empty one (DATABASE_URL).');
    }
    await load(databaseUrl, file, terminal);
    await recordRestore(sql, file);
    const { unfinished, finished } = await countRuns(sql);
    return { unfinished, finished, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * Makes a database that came back by other means (base backup and WAL, a snapshot) fit to go on from, as `restore` does.
 * Throws a `CommandError` while services run on it, which would then lose what they hold.
 */
export async function adopt(databaseUrl: string): Promise<Restored> {
  const begun = performance.now();
  const sql = createSql(databaseUrl, { name: 'flowstate-cli', max: 1 });
  try {
    if (!(await hasSchema(sql))) throw new CommandError('This database holds no Flowstate: restore a backup into it.');
    const running = await servicesOn(sql);
    if (running.length > 0) throw new CommandError(`Services run on this database (${running.join(', ')}): stop them.`);
    await sql.begin((tx) => tx.unsafe(afterRestore));
    await recordRestore(sql, 'recovered');
    const { unfinished, finished } = await countRuns(sql);
    return { unfinished, finished, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function load(databaseUrl: string, file: string, { env, signal }: Terminal): Promise<void> {
  const tool = { databaseUrl, env, signal };
  const dump = startTool('pg_restore', ['--no-owner', '--file=-', file], { ...tool, stdio: ['ignore', 'pipe'] });
  const psql = startTool(
    'psql',
    ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--output=/dev/null', '--file=-'],
    { ...tool, stdio: ['pipe', 'ignore'] },
  );
  const { stdin } = psql.child;
  if (dump.child.stdout === null || stdin === null) throw new Error('pg_restore and psql were started without pipes');
  try {
    stdin.write(beforeRestore);
    await pipeline(dump.child.stdout, stdin, { end: false });
    await dump.ended;
    stdin.end(afterRestore);
  } catch (error) {
    // What came of a broken file must not be committed at its end.
    psql.child.kill();
    dump.child.kill();
    await psql.ended.catch((told: unknown) => {
      // Its own words say more than a pipe that broke.
      if (told instanceof CommandError && /ERROR/.test(told.message)) throw told;
    });
    throw error;
  }
  await psql.ended;
}

async function recordRestore(sql: Sql, file: string): Promise<void> {
  const { id: actor, details } = directOperator();
  await createAuditedChange()(sql, (_tx, record) =>
    record({ action: 'store.restored', outcome: 'success', actor, details: { ...details, file } }),
  );
}
