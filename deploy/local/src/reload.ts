import { watch } from 'node:fs';

/** Editors write a file in several steps, and several files at once: one restart for all of them. */
const settleMs = 200;

type Options = {
  /** Folders or files. */
  paths: readonly string[];
  restart: () => Promise<void>;
  log: (line: string) => void;
  signal: AbortSignal;
};

/** Restarts when something below `paths` changes, one restart at a time; resolves when the signal ends it. */
export async function restartOnChange({ paths, restart, log, signal }: Options): Promise<void> {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  let changed = false;
  let restarting = false;

  async function restartOnce(): Promise<void> {
    if (restarting) return;
    restarting = true;
    while (changed && !signal.aborted) {
      changed = false;
      // Code that does not load is the ordinary case while somebody writes it: the next change tries again.
      await restart().catch((error: unknown) => log((error as Error).message));
    }
    restarting = false;
  }

  const watchers = paths.map((path) =>
    watch(path, { recursive: true, signal }, (_event, file) => {
      if (file !== null && /(^|\/)(node_modules|\.)/.test(file)) return;
      changed = true;
      clearTimeout(timer);
      timer = setTimeout(() => void restartOnce(), settleMs);
    }),
  );
  for (const watcher of watchers) watcher.on('error', (error) => log(`cannot watch any more: ${error.message}`));
  signal.addEventListener('abort', () => end(), { once: true });
  if (signal.aborted) end();
  await over;
  clearTimeout(timer);
}
