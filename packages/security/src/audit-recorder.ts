import { isRowFault, type AuditRow } from '@flowstate/store';
import { createAuditedChange, type ChangeAudited } from './audited-change.ts';
import { sizeOfRow, toAuditRow } from './audit-row.ts';
import type { Audit } from './audit.ts';

export type AuditRecorder = Audit & {
  /** For changes in Postgres: they and their entries are one transaction. */
  change: ChangeAudited;
  /**
   * Resolves when everything recorded so far is committed, for what must not be answered before; false when Postgres
   * did not take it within the time (it is still kept and tried again).
   */
  settled(withinMs?: number): Promise<boolean>;
  /** Writes what is waiting; what Postgres does not take by then is counted as lost. */
  stop(): Promise<void>;
};

type Options = {
  /** Commits rows in one statement; the same row twice does no harm. */
  write: (rows: AuditRow[]) => Promise<void>;
  /** Told of entries that will never be written: the buffer was full, or the row was refused. */
  onLost: (entries: number) => void;
  /** Told once when writing begins to fail. */
  onTrouble: (error: unknown) => void;
  /** Told of every entry at once, for log sinks. */
  onEntry?: (row: AuditRow) => void;
  /** Bytes that may wait. */
  maxBytes?: number;
};

const batchSize = 500;
/** So long entries are collected before they are written together. */
const lingerMs = 50;
const longestPauseMs = 2_000;
const stopWithinMs = 3_000;

/**
 * Records entries in memory and writes them in batches, so that no request waits for its own. While Postgres is away
 * they are kept, in order, up to `maxBytes`.
 */
export function createAudit({
  write,
  onLost,
  onTrouble,
  onEntry,
  maxBytes = 16 * 1024 * 1024,
}: Options): AuditRecorder {
  const queue: AuditRow[] = [];
  const waiting = new Set<{ upTo: number; resolve: () => void }>();
  let bytes = 0;
  let recorded = 0;
  let finished = 0;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function finish(rows: AuditRow[]): void {
    bytes -= rows.reduce((sum, row) => sum + sizeOfRow(row), 0);
    finished += rows.length;
    for (const waiter of waiting) if (waiter.upTo <= finished) waiter.resolve();
  }

  /** One bad row must not fail its neighbours: each is written alone. */
  async function writeEach(rows: AuditRow[]): Promise<void> {
    for (const row of rows) {
      try {
        await write([row]);
      } catch (error) {
        if (!isRowFault(error)) throw error;
        onTrouble(error);
        onLost(1);
      }
    }
  }

  async function writeAll(): Promise<void> {
    let pauseMs = 0;
    while (queue.length > 0) {
      const batch = queue.slice(0, batchSize);
      try {
        await write(batch).catch((error: unknown) => {
          if (!isRowFault(error)) throw error;
          return writeEach(batch);
        });
        queue.splice(0, batch.length);
        finish(batch);
        pauseMs = 0;
      } catch (error) {
        if (pauseMs === 0) onTrouble(error);
        if (stopped) return;
        pauseMs = Math.min(longestPauseMs, Math.max(100, pauseMs * 2));
        await pause(pauseMs);
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeAll().finally(() => (writing = undefined));
    return writing;
  }

  const { promise: stopping, resolve: stopNow } = Promise.withResolvers<void>();
  /** A pause ends with the shutdown, which has no time for it. */
  async function pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeping = setTimeout(resolve, ms);
    await Promise.race([promise, stopping]);
    clearTimeout(sleeping);
  }

  return {
    change: createAuditedChange(onEntry),

    record(entry) {
      const row = toAuditRow(entry);
      onEntry?.(row);
      const size = sizeOfRow(row);
      if (stopped || bytes + size > maxBytes) return onLost(1);
      queue.push(row);
      bytes += size;
      recorded += 1;
      if (writing === undefined) timer ??= setTimeout(() => void flush(), lingerMs);
    },

    async settled(withinMs = 2_000) {
      if (finished === recorded) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const waiter = { upTo: recorded, resolve: () => resolve(true) };
      const late = setTimeout(() => resolve(false), withinMs);
      waiting.add(waiter);
      void flush();
      const answer = await promise;
      clearTimeout(late);
      waiting.delete(waiter);
      return answer;
    },

    async stop() {
      stopped = true;
      stopNow();
      const { promise, resolve } = Promise.withResolvers<void>();
      const late = setTimeout(resolve, stopWithinMs);
      // Once for what is under way, once for what it was not asked to write.
      await Promise.race([flush().then(flush), promise]);
      clearTimeout(late);
      if (queue.length > 0) onLost(queue.length);
      queue.length = 0;
    },
  };
}
