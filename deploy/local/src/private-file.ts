import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Replaces a file that only its owner may read, all at once. */
export function writePrivate(file: string, content: string, owner?: { uid: number; gid: number }): void {
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  if (owner) chownSync(`${file}.new`, owner.uid, owner.gid);
  renameSync(`${file}.new`, file);
}

/** The file's text, or undefined when there is none. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
