import { NonDeterminismError } from './interrupt.ts';
import type { Settlement } from './replay.ts';

/** Code that has not asked for what it once did after this long never will. */
const stallMs = 250;
/** How far ahead of its turn something asked for may be given. */
const lookahead = 1_000;

/** Gives recorded endings back in the order in which they were recorded. */
export type ReplayOrder = {
  /** The recorded ending of `name`, at its turn; undefined when there is none. */
  take(name: string): Promise<Settlement> | undefined;
  /**
   * Resolves when every recorded ending has been given back: only then may anything new happen. When some are never
   * asked for it never does, so that code which does not fit its journal does nothing; `onStall` names them.
   */
  drained(): Promise<void> | undefined;
};

/**
 * Branches that run side by side see each other's results in the order in which these came about, so a replay must
 * settle them in that order, and one at a time: each continuation runs to its next await before the next is settled.
 */
export function createReplayOrder(
  settled: ReadonlyMap<string, Settlement>,
  onStall: (error: Error) => void,
): ReplayOrder {
  const order = [...settled].toSorted(([, a], [, b]) => a.seq - b.seq).map(([name]) => name);
  const left = new Set(order);
  const asked = new Map<string, (settlement: Settlement) => void>();
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let head = 0;
  let turn: NodeJS.Immediate | undefined;
  let stall: NodeJS.Timeout | undefined;
  let waitsForDrain = false;

  function schedule(): void {
    turn ??= setImmediate(() => {
      turn = undefined;
      give();
    });
  }

  function give(): void {
    // In order where the code asks in order; code that awaits something of its own in between may skip ahead.
    while (head < order.length && !left.has(order[head] as string)) head += 1;
    const name = order.slice(head, head + lookahead).find((candidate) => left.has(candidate) && asked.has(candidate));
    if (name === undefined) {
      if (waitsForDrain && left.size > 0) stall ??= setTimeout(reportStall, stallMs);
      return;
    }
    left.delete(name);
    asked.get(name)?.(settled.get(name) as Settlement);
    if (left.size === 0) setImmediate(finish); // after the last continuation
    else schedule();
  }

  function reportStall(): void {
    onStall(new NonDeterminismError(`Recorded steps were not asked for on replay: ${[...left].join(', ')}`));
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
    drained() {
      if (left.size === 0 && turn === undefined) return undefined;
      waitsForDrain = true;
      schedule();
      return done;
    },
  };
}
