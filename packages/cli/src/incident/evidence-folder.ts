import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CommandError, exitCodes } from '../terminal.ts';
import type { Redact } from './redact.ts';

export type EvidenceFolder = {
  path: string;
  /** Writes a file of the folder, without the secrets. */
  write(name: string, text: string): Promise<void>;
  /** What was written so far. */
  files(): string[];
};

/** A new folder that only its owner may read: evidence names people. Throws for one that has something in it. */
export async function createEvidenceFolder(path: string, redact: Redact): Promise<EvidenceFolder> {
  const files: string[] = [];
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if ((await readdir(path)).length > 0) {
      throw new CommandError(`--out: ${path} is not empty; evidence is never mixed`, exitCodes.usage);
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`--out: ${(error as Error).message}`, exitCodes.usage);
  }
  return {
    path,
    async write(name, text) {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(file, redact(text), { mode: 0o600 });
      files.push(name);
    },
    files: () => [...files],
  };
}
