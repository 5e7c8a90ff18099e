import type { QueueState } from '@flowstate/store';

/** What a gateway last saw of a queue; null: it cannot tell. */
export type QueueLook = { state: QueueState; waiting: number };

export type DirectBudget = {
  /** May this principal's run go straight to the queue? Counts it when it may. */
  take(principalId: string): boolean;
  /** Has so much been handed over since the last look that it is time for another? */
  stale(): boolean;
  /** A look begins; what is handed over from here on may or may not be in it. */
  begin(): void;
  looked(look: QueueLook | null): void;
  /** The round its jobs belong to. */
  round(): number;
};

/** Gateways fill half of the window: the rest is the feeder's, which is fair. */
const ofWindow = 1 / 2;
/** One principal gets half of the room there was at the last look. */
const ofRoom = 1 / 2;
/** Share of the window after which to look again. */
const untilLook = 1 / 8;

/**
 * How many runs a gateway may hand straight to a queue until its next look. While runs stand in line in the ledger
 * nobody may overtake them; with no feeder alive nobody ends the line, so only the room counts.
 */
export function createDirectBudget(): DirectBudget {
  let look: QueueLook | null = null;
  let counting = new Map<string, number>();
  let sinceBegin = new Map<string, number>();

  const total = () => counting.values().reduce((sum, runs) => sum + runs, 0);

  return {
    take(principalId) {
      if (look === null || look.state.paused || (look.state.fed && !look.state.open)) return false;
      const room = Math.max(0, look.state.size * ofWindow - look.waiting);
      const own = counting.get(principalId) ?? 0;
      if (total() >= room || own >= room * ofRoom) return false;
      for (const counts of [counting, sinceBegin]) counts.set(principalId, (counts.get(principalId) ?? 0) + 1);
      return true;
    },
    stale: () => look !== null && total() >= look.state.size * untilLook,
    begin() {
      sinceBegin = new Map();
    },
    looked(seen) {
      look = seen;
      counting = sinceBegin;
      sinceBegin = new Map();
    },
    round: () => look?.state.round ?? 0,
  };
}
