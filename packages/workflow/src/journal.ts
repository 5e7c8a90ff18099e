import type { EventType, RunEvent } from '@flowstate/contracts';
import { RunInterrupt } from './interrupt.ts';
import type { ChunkSource, Release, ReleaseAnswer } from './ledger-port.ts';
import type { SettledCall } from './settled-call.ts';

type Options = {
  runId: string;
  /** Incarnation that claimed the run. */
  owner: number;
  /** Last chunk in the ledger. */
  chunk: number;
  /** Number of the last event so far. */
  lastSeq: number;
  /** Writes when the next batch leaves; false: the run belongs to another worker. */
  writeChunk: (source: ChunkSource) => Promise<boolean>;
  /** Called with events that are in the ledger, and what makes their JSON. */
  publish: (events: RunEvent[], json: () => string) => void;
  /** The run cannot go on here: it was lost, or what it recorded cannot be written. */
  onFailure: (error: Error) => void;
};

type LetGo = (release: Release) => Promise<ReleaseAnswer>;

export type Journal = {
  /**
   * Numbers an event and sends it on its way to the ledger; `output` is JSON text that becomes `data.output`, `settled`
   * what it says of calls of models.
   */
  record(
    type: EventType,
    data: Record<string, unknown>,
    more?: { output?: string; settled?: readonly SettledCall[] },
  ): void;
  /**
   * Resolves once everything recorded so far is in the ledger; throws `lost` when the run belongs to another, `over`
   * when it goes out with the run's end or release instead.
   */
  flushed(): Promise<void>;
  /**
   * The last record is an effect's result: it must be in the ledger before another step runs. Not waited for here, so
   * that a next effect's intent may share its write.
   */
  owe(): void;
  /** What the next step has to wait for; undefined: nothing is owed. Throws as `flushed`. */
  paid(): Promise<void> | undefined;
  /**
   * Hands a last event, and what has not been written, to `letGo`, which releases the run with them: the event
   * happened only if it answers `released`. Else the run goes on here.
   */
  release(type: EventType, data: Record<string, unknown>, letGo: LetGo): Promise<ReleaseAnswer>;
  /** Stops writing. Resolves when what was on its way is in the ledger, or refused: nothing of it comes later. */
  abandon(): Promise<void>;
  /** Stops writing and hands over what has not been written: it goes out with the run's end. */
  close(): Promise<{
    chunk: number;
    lastSeq: number;
    events: RunEvent[];
    text: string;
    settled?: readonly SettledCall[];
  }>;
};

/**
 * The recorded events of one run. One write is under way at a time; what is recorded meanwhile forms the next chunk.
 * The content of a chunk is taken when its batch leaves, so a short run's steps mostly travel with its end.
 */
export function createJournal(options: Options): Journal {
  const { runId, owner, writeChunk, publish, onFailure } = options;
  let { chunk, lastSeq } = options;
  let pending: Written[] = [];
  let writing: Promise<void> | undefined;
  /** A chunk was taken for a batch, and the ledger has not answered yet. */
  let inFlight = false;
  let closed = false;
  /** Closed for good: no release that fails opens it again. */
  let ended = false;
  /** The run is being let go of, with what has not been written. */
  let releasing: Promise<unknown> | undefined;
  let lost = false;
  let owed = false;

  async function writeAll(): Promise<void> {
    while (pending.length > 0 && !closed) {
      let taken: Written[] = [];
      const written = await writeChunk(() => {
        if (closed || pending.length === 0) return null;
        taken = pending;
        pending = [];
        inFlight = true;
        const progress = taken.some(({ event }) => event.type === 'step.completed');
        return { runId, owner, chunk: chunk + 1, events: textOf(taken), progress, ...settledBy(taken) };
      });
      inFlight = false;
      if (taken.length === 0) return;
      if (!written) {
        closed = true;
        lost = true;
        throw new RunInterrupt('lost');
      }
      chunk += 1;
      tell(taken);
    }
  }

  function flush(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = undefined;
    });
    return writing;
  }

  async function flushed(): Promise<void> {
    if (releasing) await decided();
    while (pending.length > 0 || writing) {
      // Nothing of it will be written from here: to ask on would be to ask for ever.
      if (closed && writing === undefined) throw new RunInterrupt(lost ? 'lost' : 'over');
      await flush();
      if (releasing) await decided();
    }
    owed = false;
  }

  /** Whether the run is let go of is known. */
  async function decided(): Promise<void> {
    await releasing?.catch(() => {});
  }

  async function letGoOf(type: EventType, data: Record<string, unknown>, letGo: LetGo): Promise<ReleaseAnswer> {
    if (releasing) await decided();
    closed = true;
    // What is on its way has the number before ours.
    if (inFlight) await writing;
    const taken = [...pending, write({ seq: lastSeq + 1, type, at: new Date().toISOString(), data })];
    const answer = await letGo({ runId, owner, chunk: chunk + 1, events: textOf(taken), ...settledBy(taken) });
    if (answer === 'released') {
      pending = [];
      tell(taken);
    } else if (answer === 'news' && !ended) {
      closed = false;
      await writing;
      flush().catch(onFailure);
    }
    return answer;
  }

  function tell(told: Written[]): void {
    publish(
      told.map(({ event }) => event),
      () => textOf(told),
    );
  }

  return {
    record(type, data, { output, settled } = {}) {
      lastSeq += 1;
      const event = { seq: lastSeq, type, at: new Date().toISOString(), data };
      pending.push({ ...write(event, output), ...(settled && { settled }) });
      flush().catch(onFailure);
    },
    flushed,
    owe: () => void (owed = true),
    paid: () => (owed ? flushed() : undefined),
    release(type, data, letGo) {
      const answer = letGoOf(type, data, letGo).finally(() => {
        if (releasing === answer) releasing = undefined;
      });
      releasing = answer;
      return answer;
    },
    async abandon() {
      closed = ended = true;
      if (releasing) await decided();
      if (inFlight) await writing?.catch(() => {});
    },
    async close() {
      closed = ended = true;
      if (releasing) await decided();
      if (inFlight) await writing;
      const events = pending.map(({ event }) => event);
      return { chunk, lastSeq, events, text: textOf(pending), ...settledBy(pending) };
    },
  };
}

/** An event beside its JSON: it goes to the ledger and to watchers, and is serialised once. */
type Written = { event: RunEvent; json: string; settled?: readonly SettledCall[] };

function write(event: RunEvent, output?: string): Written {
  if (output === undefined) return { event, json: JSON.stringify(event) };
  // A step's output is JSON already, and may be large.
  const { data, ...rest } = event;
  const json = `${JSON.stringify(rest).slice(0, -1)},"data":${JSON.stringify(data).slice(0, -1)},"output":${output}}}`;
  return { event, json };
}

function textOf(written: readonly Written[]): string {
  return `[${written.map(({ json }) => json).join(',')}]`;
}

/** Nothing at all for most: only steps that call a model settle anything. */
function settledBy(written: readonly Written[]): { settled?: readonly SettledCall[] } {
  const settled = written.flatMap((each) => each.settled ?? []);
  return settled.length > 0 ? { settled } : {};
}
