import type { Kind } from './kind.ts';

export type SeenEvent = { seq: number; type: string; data: Record<string, unknown>; seenAt: number };

/** A run of the workload, as its client knows it. */
export type RunRecord = {
  kind: Kind;
  /** What the client calls this piece of work; also the run's tag. */
  ticket: string;
  input: Record<string, unknown>;
  delayMs: number;
  /** Known once a gateway has answered 202 (or, for one that nobody knows was taken, once it was found in the list). */
  id: string | undefined;
  /** Answered 202, or 200 to a client that waited. */
  accepted: boolean;
  /** What the event stream brought, in its order. */
  events: SeenEvent[];
  state: 'open' | 'ended' | 'parked';
};

const terminal = new Set(['run.completed', 'run.failed', 'run.cancelled']);

export function isTerminal({ type }: { type: string }): boolean {
  return terminal.has(type);
}
