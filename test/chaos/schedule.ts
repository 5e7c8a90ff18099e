import type { Random } from '../support/random.ts';

export const faultNames = [
  'kill-worker',
  'kill-worker-without-postgres',
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
const pastLeaseMs = [15_500, 19_000] as const;
const longest: FaultName = 'pause-worker-past-lease';

/**
 * Faults at random moments until `durationMs`, drawn from shuffled decks so that each sort comes before any comes
 * again; the one that lasts longest comes first, so that a short run has room for it. The same seed makes the same
 * schedule.
 */
export function faultSchedule(
  random: Random,
  { durationMs, everyMs, workers }: { durationMs: number; everyMs: number; workers: number },
): Fault[] {
  const faults: Fault[] = [];
  let cards: FaultName[] = [...random.shuffled(faultNames.filter((name) => name !== longest)), longest];
  let standing = { target: 0, untilMs: 0 };
  let atMs = 0;
  for (;;) {
    atMs += random.between(everyMs / 2, everyMs * 1.5);
    if (atMs > durationMs) return faults;
    if (cards.length === 0) cards = random.shuffled(faultNames);
    const name = cards.pop() as FaultName;
    let target = random.between(0, 1_000);
    // What is to hit a worker hits one that moves: it would have to wait for the other.
    if (atMs < standing.untilMs && target % workers === standing.target % workers) target += 1;
    const forMs = lengthOf(name, random.between(0, 1_500), random);
    if (name === longest) standing = { target, untilMs: atMs + forMs };
    faults.push({ atMs, name, target, forMs });
  }
}

function lengthOf(name: FaultName, downMs: number, random: Random): number {
  if (name === 'flush-redis' || name === 'repeat-deliveries') return 0;
  if (name === 'pause-worker') return pauseMs;
  if (name === 'kill-worker-without-postgres') return Math.max(500, downMs);
  return name === longest ? random.between(...pastLeaseMs) : downMs;
}
