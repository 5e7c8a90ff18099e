import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const ours = /^flowstate-\d{8}T\d{6}Z\.dump$/;

/** Where a backup of that moment goes in a folder: names in their order are backups in theirs. */
export function backupIn(folder: string, at: Date): string {
  const time = at.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
  return join(folder, `flowstate-${time}.dump`);
}

/** Removes all but the newest `keep` backups that `backupIn` has named; returns the removed ones. Others' files stay. */
export async function keepNewest(folder: string, keep: number): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => ours.test(name)).toSorted();
  const old = names.slice(0, Math.max(0, names.length - keep)).map((name) => join(folder, name));
  for (const file of old) await rm(file);
  return old;
}
