import type { RunEvent } from '@flowstate/contracts';

/** What earlier owners and attempts of a run recorded, by step name. */
export type Replay = {
  /** Results of finished steps. */
  results: Map<string, unknown>;
  /** Steps whose effect was intended but whose result never came. */
  intents: Set<string>;
  /** Failed tries per step since the run was last retried. */
  failures: Map<string, number>;
  /** Values of `now()` and `random()`. */
  values: Map<string, unknown>;
  lastSeq: number;
};

/** Folds a run's recorded events into what a new owner must know. */
export function replayOf(events: readonly RunEvent[], seqBase: number): Replay {
  const replay: Replay = {
    results: new Map(),
    intents: new Set(),
    failures: new Map(),
    values: new Map(),
    // Accepted (or retried) and started are numbered by the ledger, not by an owner.
    lastSeq: seqBase + 2,
  };
  for (const { type, seq, data } of events) {
    const name = data.name as string;
    if (type === 'step.completed') {
      replay.results.set(name, data.output);
      replay.intents.delete(name);
    } else if (type === 'step.intended') replay.intents.add(name);
    else if (type === 'step.failed') {
      replay.failures.set(name, (replay.failures.get(name) ?? 0) + 1);
      replay.intents.delete(name); // it threw: known not to be under way
    } else if (type === 'run.retried') replay.failures.clear();
    else if (type === 'value.recorded') replay.values.set(name, data.value);
    replay.lastSeq = Math.max(replay.lastSeq, seq);
  }
  return replay;
}
