import type { Random } from './random.ts';

export const faultNames = [
  'kill-worker',
  'kill-gateway',
  'kill-controller',
  'flush-redis',
  'repeat-deliveries',
  'restart-redis',
  'restart-postgres',
  'drain-worker',
  'pause-worker',
  'pause-worker-past-lease',
] as const;
export type FaultName = (typeof faultNames)[number];

/** What goes wrong when: milliseconds since the workload began, which one, and for how long. */
export type Fault = { atMs: number; name: FaultName; target: number; forMs: number };

/** A worker stopped for less than its lease keeps its runs; one stopped for longer has lost them when it wakes. */
const pauseMs = 3_000;
const pastLeaseMs = [16_000, 20_000] as const;

/**
 * Faults at random moments until `durationMs`, drawn from shuffled decks so that each sort comes before any comes
 * again. The same seed makes the same schedule.
 */
export function faultSchedule(
  random: Random,
  { durationMs, everyMs, pastLease }: { durationMs: number; everyMs: number; pastLease: boolean },
): Fault[] {
  const deck = faultNames.filter((name) => pastLease || name !== 'pause-worker-past-lease');
  const faults: Fault[] = [];
  let cards: FaultName[] = [];
  let atMs = 0;
  for (;;) {
    atMs += random.between(everyMs / 2, everyMs * 1.5);
    if (atMs > durationMs) return faults;
    if (cards.length === 0) cards = random.shuffled(deck);
    const name = cards.pop() as FaultName;
    const target = random.between(0, 1_000);
    const downMs = random.between(0, 1_500);
    faults.push({ atMs, name, target, forMs: lengthOf(name, downMs, random) });
  }
}

function lengthOf(name: FaultName, downMs: number, random: Random): number {
  if (name === 'flush-redis' || name === 'repeat-deliveries') return 0;
  if (name === 'pause-worker') return pauseMs;
  return name === 'pause-worker-past-lease' ? random.between(...pastLeaseMs) : downMs;
}
