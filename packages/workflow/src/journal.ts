import type { EventType, RunEvent } from '@flowstate/contracts';
import { RunInterrupt } from './interrupt.ts';
import type { Release, ReleaseAnswer } from './ledger-port.ts';

/** What is to be written next; null when it went out with the run's end meanwhile. */
export type ChunkSource = () => { runId: string; chunk: number; events: string; progress: boolean } | null;

type Options = {
  runId: string;
  /** Last chunk in the ledger. */
  chunk: number;
  /** Number of the last event so far. */
  lastSeq: number;
  /** Writes when the next batch leaves; false: the run belongs to another worker. */
  writeChunk: (source: ChunkSource) => Promise<boolean>;
  /** Called with events that are in the ledger. */
  publish: (events: RunEvent[]) => void;
  /** The run cannot go on here: it was lost, or what it recorded cannot be written. */
  onFailure: (error: Error) => void;
};

type Write = (release: Release) => Promise<ReleaseAnswer>;

export type Journal = {
  /** Numbers an event and sends it on its way to the ledger. */
  record(type: EventType, data: Record<string, unknown>): void;
  /** Resolves once everything recorded so far is in the ledger; throws `lost` when the run belongs to another. */
  flushed(): Promise<void>;
  /**
   * Hands a last event, and what has not been written, to `write`, which lets go of the run with them: the event
   * happened only if it answers `released`. Else the run goes on here.
   */
  release(type: EventType, data: Record<string, unknown>, write: Write): Promise<ReleaseAnswer>;
  /** Stops writing and hands over what has not been written: it goes out with the run's end. */
  close(): Promise<{ chunk: number; lastSeq: number; events: RunEvent[] }>;
};

/**
 * The recorded events of one run. One write is under way at a time; what is recorded meanwhile forms the next chunk.
 * The content of a chunk is taken when its batch leaves, so a short run's steps mostly travel with its end.
 */
export function createJournal(options: Options): Journal {
  const { runId, writeChunk, publish, onFailure } = options;
  let { chunk, lastSeq } = options;
  let pending: RunEvent[] = [];
  let writing: Promise<void> | undefined;
  let closed = false;

  async function writeAll(): Promise<void> {
    while (pending.length > 0 && !closed) {
      let taken: RunEvent[] = [];
      const written = await writeChunk(() => {
        if (closed || pending.length === 0) return null;
        taken = pending;
        pending = [];
        const progress = taken.some(({ type }) => type === 'step.completed');
        return { runId, chunk: chunk + 1, events: JSON.stringify(taken), progress };
      });
      if (taken.length === 0) return;
      if (!written) {
        closed = true;
        throw new RunInterrupt('lost');
      }
      chunk += 1;
      publish(taken);
    }
  }

  function flush(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = undefined;
    });
    return writing;
  }

  return {
    record(type, data) {
      lastSeq += 1;
      pending.push({ seq: lastSeq, type, at: new Date().toISOString(), data });
      flush().catch(onFailure);
    },
    async flushed() {
      while (pending.length > 0 || writing) await flush();
    },
    async release(type, data, write) {
      // One write at a time: what is on its way has the number before ours.
      for (let way = writing; way !== undefined; way = writing) await way;
      closed = true;
      const event = { seq: lastSeq + 1, type, at: new Date().toISOString(), data };
      const taken = [...pending, event];
      const answer = await write({ runId, chunk: chunk + 1, events: JSON.stringify(taken) });
      if (answer === 'released') {
        pending = [];
        publish(taken);
      } else if (answer === 'news') {
        closed = false;
        flush().catch(onFailure);
      }
      return answer;
    },
    async close() {
      closed = true;
      if (writing) await writing;
      return { chunk, lastSeq, events: pending };
    },
  };
}
