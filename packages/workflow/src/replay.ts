import type { Effect, EventType, FailedTry, PayloadRef, RunEvent } from '@flowstate/contracts';

/** How a step or a wait ended: on replay it ends the same way, in the same order. */
export type Settlement = { seq: number } & ({ value: unknown } | { error: FailedTry; tries: FailedTry[] });
/** As recorded: a large value is somewhere else. */
export type RecordedSettlement = Settlement | ({ seq: number } & PayloadRef);

/** What earlier owners and attempts of a run recorded, by name. */
export type Replay = {
  /** Steps and waits that have ended. */
  settled: Map<string, RecordedSettlement>;
  /** Failures from before a retry: these steps get new tries, unless the code had gone on from their failure. */
  withdrawn: Map<string, Settlement>;
  /** Steps whose effect was intended but whose result never came, and its kind. */
  intents: Map<string, Effect>;
  /** Failed tries per step since the run was last retried; `retryAt` of the last one, in milliseconds of Postgres time. */
  failures: Map<string, { tries: FailedTry[]; retryAt: number }>;
  /** Values of `now()`, `random()` and winners of races. */
  values: Map<string, unknown>;
  /** Waits that have begun and not ended, with the end of their time in milliseconds of Postgres time. */
  waits: Map<string, number | null>;
  /** Inbox entries that were given to a wait. */
  consumed: Set<number>;
  /** Times the run was tried again by itself since a person last retried it. */
  retries: number;
  lastSeq: number;
};

/** Folds a run's recorded events into what a new owner must know. */
export function replayOf(events: readonly RunEvent[], seqBase: number): Replay {
  const replay: Replay = {
    settled: new Map(),
    withdrawn: new Map(),
    intents: new Map(),
    failures: new Map(),
    values: new Map(),
    waits: new Map(),
    consumed: new Set(),
    retries: 0,
    // Accepted (or retried) and started are numbered by the ledger, not by an owner.
    lastSeq: seqBase + 2,
  };
  for (const event of events) {
    folds[event.type]?.(replay, event);
    replay.lastSeq = Math.max(replay.lastSeq, event.seq);
  }
  return replay;
}

type StepFailed = { attempt: number; error: { code: string; message: string }; final: boolean; retryAt?: number };

/** What each recorded event means to a new owner; what became of the run as a whole changes nothing it did. */
const folds: Partial<Record<EventType, (replay: Replay, event: RunEvent) => void>> = {
  'step.completed'({ settled, intents }, { seq, data }) {
    const stored = data.outputRef as PayloadRef | undefined;
    settled.set(nameOf(data), stored === undefined ? { seq, value: data.output } : { seq, ...stored });
    intents.delete(nameOf(data));
  },
  'step.intended'({ intents }, { data }) {
    intents.set(nameOf(data), data.effect as Effect);
  },
  'step.failed'({ settled, intents, failures }, { seq, at, data }) {
    const name = nameOf(data);
    const { attempt, error, final, retryAt = 0 } = data as StepFailed;
    const tries = [...(failures.get(name)?.tries ?? []), { attempt, at, ...error }];
    failures.set(name, { tries, retryAt });
    intents.delete(name); // it threw: known not to be under way
    if (final) settled.set(name, { seq, error: { attempt, at, ...error }, tries });
  },
  'run.retried'(replay, { data }) {
    // Whatever failed gets new tries; what was finished stays finished.
    replay.failures.clear();
    for (const [name, settlement] of replay.settled) {
      if (!('error' in settlement)) continue;
      replay.settled.delete(name);
      replay.withdrawn.set(name, settlement);
    }
    replay.retries = data.auto === true ? replay.retries + 1 : 0;
  },
  'run.resolved'({ settled, intents }, { seq, data }) {
    if (data.outcome === 'happened') settled.set(nameOf(data), { seq, value: data.output });
    intents.delete(nameOf(data));
  },
  'value.recorded'({ values }, { data }) {
    values.set(nameOf(data), data.value);
  },
  'wait.begun'({ waits }, { data }) {
    waits.set(nameOf(data), typeof data.until === 'string' ? Date.parse(data.until) : null);
  },
  'wait.ended'({ waits, settled, consumed }, { seq, data }) {
    waits.delete(nameOf(data));
    settled.set(nameOf(data), { seq, value: data.value ?? null });
    if (typeof data.inboxId === 'number') consumed.add(data.inboxId);
  },
};

function nameOf(data: RunEvent['data']): string {
  return data.name as string;
}
