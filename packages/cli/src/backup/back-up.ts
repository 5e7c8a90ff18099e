import { chmod, rename, rm, stat, writeFile } from 'node:fs/promises';
import { countRuns, createSql } from '@flowstate/store';
import type { Terminal } from '../terminal.ts';
import { startTool } from './postgres-tools.ts';

export type Backup = {
  /** Everything accepted until then is in it. */
  at: Date;
  unfinished: number;
  bytes: number;
  seconds: number;
};

/**
 * Writes everything Postgres holds, as of one moment, into a file that only its owner may read; nobody is stopped for it.
 * A file of that name is replaced when the new one is whole.
 */
export async function backUp(databaseUrl: string, file: string, { env, signal }: Terminal): Promise<Backup> {
  const begun = performance.now();
  const sql = createSql(databaseUrl, { name: 'flowstate-cli', max: 1 });
  const draft = `${file}.partial`;
  try {
    const { at, unfinished } = await countRuns(sql);
    await writeFile(draft, '', { mode: 0o600 });
    await chmod(draft, 0o600);
    const tool = { databaseUrl, env, signal, stdio: ['ignore', 'ignore'] as ['ignore', 'ignore'] };
    await startTool('pg_dump', ['--format=custom', '--no-owner', '--no-comments', `--file=${draft}`], tool).ended;
    // A dump that cannot be read is none.
    await startTool('pg_restore', ['--list', draft], tool).ended;
    const { size } = await stat(draft);
    await rename(draft, file);
    return { at, unfinished, bytes: size, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await sql.end({ timeout: 1 });
    await rm(draft, { force: true });
  }
}
