import type { DueRun } from '@flowstate/store';
import type { Caps } from './caps.ts';

export type FairLine = {
  /** Whose turn it is: at most `room` of `runs`, in the order in which they are to be served. */
  pick(runs: readonly DueRun[], room: number, caps: Pick<Caps, 'take' | 'weight'>): DueRun[];
};

/** A principal's runs in their order, and when, in virtual time, its next one starts. */
type Turn = { principalId: string; runs: DueRun[]; start: number };

/**
 * Weighted fair order over principals: start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", 1996),
 * every run costing 1 / weight. Within a principal the priority decides, then who was due first; it also decides
 * between principals that are equally far. Remembers who was served, so that picking one run at a time is as fair as
 * picking a thousand; a principal that was away starts level with the others.
 */
export function createFairLine(): FairLine {
  /** Start of the run picked last. */
  let clock = 0;
  /** When each principal's next run starts, of those served beyond the clock. */
  const served = new Map<string, number>();

  return {
    pick(runs, room, caps) {
      const lines = Map.groupBy(runs.toSorted(byPriority), ({ principalId }) => principalId);
      let turns: Turn[] = [...lines].map(([principalId, own]) => ({
        principalId,
        runs: own.toReversed(),
        start: Math.max(clock, served.get(principalId) ?? 0),
      }));
      const picked: DueRun[] = [];
      while (picked.length < room) {
        turns = turns.filter((turn) => turn.runs.length > 0);
        const [first, ...others] = turns;
        if (first === undefined) break;
        const next = others.reduce((best, turn) => (isBefore(turn, best) ? turn : best), first);
        const run = next.runs.pop() as DueRun;
        if (!caps.take(run)) continue; // it waits for its place, and nobody waits behind it
        picked.push(run);
        clock = next.start;
        next.start += 1 / caps.weight(next.principalId);
        served.set(next.principalId, next.start);
      }
      for (const [principalId, start] of served) if (start <= clock) served.delete(principalId);
      return picked;
    },
  };
}

function byPriority(a: DueRun, b: DueRun): number {
  return a.priority - b.priority || a.dueAt.getTime() - b.dueAt.getTime() || (a.id < b.id ? -1 : 1);
}

function isBefore(a: Turn, b: Turn): boolean {
  if (a.start !== b.start) return a.start < b.start;
  return byPriority(a.runs.at(-1) as DueRun, b.runs.at(-1) as DueRun) < 0;
}
