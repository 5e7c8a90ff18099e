import { NonDeterminismError } from './interrupt.ts';
import type { RecordedSettlement, Settlement } from './replay.ts';

/** Code that has not asked for what it once did after this long never will. */
const stallMs = 250;
/** How far ahead of its turn something asked for may be given. */
const lookahead = 1_000;

/** Gives recorded endings back in the order in which they were recorded. */
export type ReplayOrder = {
  /** The recorded ending of `name`, at its turn; undefined when there is none. */
  take(name: string): Promise<Settlement> | undefined;
  /**
   * Resolves when every recorded ending has been given back: only then may `name`, which has none, happen. When some are
   * never asked for it never does, so that code which does not fit its journal does nothing; `onFailure` names them.
   * Unless `name` failed before the run was retried, and what is not asked for came after: the code had gone on from
   * that failure, and gets it again.
   */
  drained(name: string): Promise<Settlement | undefined> | undefined;
};

type Options = {
  settled: ReadonlyMap<string, RecordedSettlement>;
  withdrawn: ReadonlyMap<string, Settlement>;
  /** Loads a large value, at its turn: a replay keeps no more of them in memory than its code does. */
  load: (ref: string) => Promise<unknown>;
  /** The replay cannot go on: what is on record is not asked for, or could not be loaded. */
  onFailure: (error: Error) => void;
};

/**
 * Branches that run side by side see each other's results in the order in which these came about, so a replay must
 * settle them in that order, and one at a time: each continuation runs to its next await before the next is settled.
 */
export function createReplayOrder({ settled, withdrawn, load, onFailure }: Options): ReplayOrder {
  const order = [...settled].toSorted(([, a], [, b]) => a.seq - b.seq).map(([name]) => name);
  const left = new Set(order);
  const asked = new Map<string, (settlement: Settlement) => void>();
  const { promise: done, resolve: finish } = Promise.withResolvers<undefined>();
  /** Failed once, asked for again. */
  const again = new Map<string, (failure: Settlement) => void>();
  let head = 0;
  /** Something is being given back, or soon will be. */
  let turn = false;
  let stall: NodeJS.Timeout | undefined;
  let waitsForDrain = false;

  function schedule(): void {
    if (turn) return;
    turn = true;
    setImmediate(() => {
      give().catch(onFailure);
    });
  }

  async function give(): Promise<void> {
    // In order where the code asks in order; code that awaits something of its own in between may skip ahead.
    while (head < order.length && !left.has(order[head] as string)) head += 1;
    const name = order.slice(head, head + lookahead).find((candidate) => left.has(candidate) && asked.has(candidate));
    if (name === undefined) {
      turn = false;
      if (waitsForDrain && left.size > 0) stall ??= setTimeout(onStall, stallMs);
      return;
    }
    left.delete(name);
    const recorded = settled.get(name) as RecordedSettlement;
    const settlement = 'ref' in recorded ? { seq: recorded.seq, value: await load(recorded.ref) } : recorded;
    turn = false;
    asked.get(name)?.(settlement);
    if (left.size === 0) setImmediate(finish, undefined); // after the last continuation
    else schedule();
  }

  function onStall(): void {
    stall = undefined;
    const next = Math.min(...[...left].map((name) => settled.get(name)?.seq ?? 0));
    // The last failure before it: what is recorded next came of that.
    const [last] = [...again.keys()]
      .map((name) => ({ name, failure: withdrawn.get(name) as Settlement }))
      .filter(({ failure }) => failure.seq < next)
      .toSorted((a, b) => b.failure.seq - a.failure.seq);
    if (last !== undefined) {
      again.get(last.name)?.(last.failure);
      again.delete(last.name);
      schedule();
      return;
    }
    onFailure(new NonDeterminismError(`Recorded steps were not asked for on replay: ${[...left].join(', ')}`));
  }

  return {
    take(name) {
      if (!settled.has(name)) return undefined;
      clearTimeout(stall);
      stall = undefined;
      const { promise, resolve } = Promise.withResolvers<Settlement>();
      asked.set(name, resolve);
      schedule();
      return promise;
    },
    drained(name) {
      if (left.size === 0 && !turn) return undefined;
      waitsForDrain = true;
      schedule();
      if (!withdrawn.has(name)) return done;
      const { promise, resolve } = Promise.withResolvers<Settlement>();
      again.set(name, resolve);
      return Promise.race([done, promise]);
    },
  };
}
