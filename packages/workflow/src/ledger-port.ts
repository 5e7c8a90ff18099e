import type { Inbox, PayloadRef, TerminalState } from '@flowstate/contracts';
import type { SettledCall } from './settled-call.ts';

/** Calls of models whose use is recorded with a write: in the ledger both are there, or neither. */
type Settles = { settled?: readonly SettledCall[] };

/** What is to be written next; null when it went out with the run's end meanwhile. */
export type ChunkSource = () => {
  runId: string;
  owner: number;
  chunk: number;
  events: string;
  progress: boolean;
  settled?: readonly SettledCall[];
} | null;

export type RunEnding = Settles & {
  runId: string;
  owner: number;
  chunk: number;
  state: TerminalState;
  lastSeq: number;
  events: string;
  output: string | null;
  /** Hash of an output that is stored as a payload; `output` is null then. */
  outputRef: string | null;
  error: string | null;
  /** Another run waits for this end. */
  isChild: boolean;
};

/** A run its owner lets go of, with the last events it recorded. */
export type Release = Settles & { runId: string; owner: number; chunk: number; events: string };

export type ReleaseAnswer = 'released' | 'news' | 'lost';

/** The engine's only way to the outside. Writes wait out an outage of the ledger instead of failing. */
export type LedgerPort = {
  writeChunk(source: ChunkSource): Promise<boolean>;
  /** `expired`: it ended as cancelled, because its time to live was over. */
  finish(ending: RunEnding): Promise<'finished' | 'expired' | 'cancel-requested' | 'lost'>;
  /** Keeps a large result (JSON text) for events to refer to; null when the run belongs to another. */
  storePayload(result: { runId: string; owner: number; json: string }): Promise<PayloadRef | null>;
  /** JSON text of what `storePayload` kept. */
  loadPayload(runId: string, ref: string): Promise<string>;
  /** Lets go of a run that waits; `news` when its inbox has more than `inbox` entries by now, or it was cancelled. */
  suspend(waiting: Release & { inbox: number; wakeAt: number | null }): Promise<ReleaseAnswer>;
  /** Lets go of a failed run until its next try is due; `news` when it was cancelled. */
  postpone(failed: Release & { delayMs: number }): Promise<ReleaseAnswer>;
  /** Lets go of a run that a person must settle. */
  park(parked: Release): Promise<ReleaseAnswer>;
  readInbox(runId: string): Promise<Inbox & { cancelled: boolean }>;
  /**
   * Undefined while the ledger confirmed lately that this worker lives; else resolves when it has been asked again. A
   * worker that stood still for long may have lost its runs, and must not begin a step before it knows.
   */
  confirmed(): Promise<void> | undefined;
  /** Postgres time in milliseconds: the clock of everything durable. */
  now(): number;
};
