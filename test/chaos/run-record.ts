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
  state: 'open' | 'ended';
  /** Each of its ends is to be told to the receiver, at the path of its ticket. */
  webhook: boolean;
  /** How often its client asked for a fork of it. */
  forks: number;
};

const terminal = new Set(['run.completed', 'run.failed', 'run.cancelled']);

export function isTerminal({ type }: { type: string }): boolean {
  return terminal.has(type);
}

/** The steps an event puts on record: one that ran, or one in doubt of which a person knew what it did. */
export function completedStep({ type, data }: Pick<SeenEvent, 'type' | 'data'>): string | undefined {
  const completed = type === 'step.completed' || (type === 'run.resolved' && data.outcome === 'happened');
  return completed ? String(data.name) : undefined;
}

export function newRecord(
  known: Pick<RunRecord, 'kind' | 'ticket' | 'input'> & Partial<Pick<RunRecord, 'delayMs' | 'webhook'>>,
): RunRecord {
  return { delayMs: 0, webhook: false, id: undefined, accepted: false, events: [], state: 'open', forks: 0, ...known };
}
