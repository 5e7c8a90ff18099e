import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pathWithPostgresClient } from '@flowstate/test';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { seedFinishedRuns } from '../runs/seed.ts';
import type { BenchStores } from '../stores.ts';

export type RestoreLevel = {
  runs: number;
  fileBytes: number;
  backupSeconds: number;
  /** Into an empty database, indexes and all, until services may start. */
  restoreSeconds: number;
};

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url));

/** Backup and restore with so many finished runs; the reason where there are no client programs. */
export async function measureRestore(
  runs: number,
  { stores, signal }: { stores: BenchStores; signal: AbortSignal },
): Promise<RestoreLevel | string> {
  const tools = await pathWithPostgresClient();
  if (typeof tools === 'string') return tools;
  const cleanup = createCleanup();
  try {
    const folder = mkdtempSync(join(tmpdir(), 'flowstate-bench-backup-'));
    cleanup.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const product = await startProduct({ stores, cleanup, concurrency: 16 }, 'bench-four-steps');
    await seedFinishedRuns(product.database.sql, 'bench-four-steps', runs);
    const file = join(folder, 'flowstate.dump');
    const name = `bench_restored_${process.pid}`;
    await stores.admin.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
    cleanup.teardown(() => stores.admin.unsafe(`DROP DATABASE ${name} WITH (FORCE)`));
    const restored = new URL(product.databaseUrl);
    restored.pathname = `/${name}`;
    const seconds = async (command: string, databaseUrl: string) => {
      const begun = performance.now();
      const env = { PATH: tools.PATH, HOME: folder, DATABASE_URL: databaseUrl };
      await run(process.execPath, [cli, command, file], { env, signal });
      return (performance.now() - begun) / 1000;
    };
    const backupSeconds = await seconds('backup', product.databaseUrl);
    const fileBytes = statSync(file).size;
    return { runs, fileBytes, backupSeconds, restoreSeconds: await seconds('restore', restored.href) };
  } finally {
    await cleanup.run();
  }
}
