import { dirname } from 'node:path';

const largest = 8;

/** What runs for long first: while the last group runs, a core is idle. */
const folders = ['services/', 'test/', 'packages/cli/', 'packages/search/', 'packages/store/', 'packages/', 'deploy/'];

/**
 * Test files that share a process: those of one folder, which load the same. Not all of them, so that two processes
 * can be kept busy and a crash takes few of them along.
 */
export function groupFiles(files: readonly string[]): string[][] {
  const place = (file: string) => folders.findIndex((folder) => file.startsWith(folder));
  const byFolder = Map.groupBy(
    files.toSorted().toSorted((a, b) => place(a) - place(b)),
    dirname,
  );
  return [...byFolder.values()].flatMap((all) => {
    const groups = Math.ceil(all.length / largest);
    const size = Math.ceil(all.length / groups);
    return Array.from({ length: groups }, (_, index) => all.slice(index * size, (index + 1) * size));
  });
}
