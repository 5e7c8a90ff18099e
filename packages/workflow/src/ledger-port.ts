import type { Inbox, TerminalState } from '@flowstate/contracts';
import type { ChunkSource } from './journal.ts';

export type RunEnding = {
  runId: string;
  chunk: number;
  state: TerminalState;
  lastSeq: number;
  events: string;
  output: string | null;
  error: string | null;
  /** Another run waits for this end. */
  isChild: boolean;
};

/** The engine's only way to the outside. Writes wait out an outage of the ledger instead of failing. */
export type LedgerPort = {
  writeChunk(source: ChunkSource): Promise<boolean>;
  finish(ending: RunEnding): Promise<'finished' | 'cancel-requested' | 'lost'>;
  /** Lets go of a run that waits; `news` when its inbox has more than `inbox` entries by now, or it was cancelled. */
  suspend(waiting: { runId: string; inbox: number; wakeAt: number | null }): Promise<'suspended' | 'news' | 'lost'>;
  /** Lets go of a failed run until its next try is due. */
  postpone(failed: { runId: string; delayMs: number }): Promise<'postponed' | 'cancel-requested' | 'lost'>;
  readInbox(runId: string): Promise<Inbox & { cancelled: boolean }>;
  /** Postgres time in milliseconds: the clock of everything durable. */
  now(): number;
};
