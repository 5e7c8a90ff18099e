import type { RunEvent, RunExplanation } from '@flowstate/contracts';

export type Kind = keyof RunExplanation['time'];
/** A stretch of a run's life, in milliseconds since 1970. */
export type Stretch = { kind: Kind; from: number; to: number };

/** Of what goes on at the same moment, the first of these counts. */
const precedence: Kind[] = ['steps', 'waits', 'claim', 'recovery', 'queue', 'engine'];

/**
 * Divides the time from `from` to `to` among the stretches, each moment counted once; what no stretch covers is the
 * engine's. Clocks that were set meanwhile make stretches that end before they begin: they count nothing.
 */
export function divideTime(stretches: readonly Stretch[], from: number, to: number): RunExplanation['time'] {
  const time = { queue: 0, claim: 0, steps: 0, waits: 0, recovery: 0, engine: 0 };
  const within = stretches
    .map((stretch) => ({ ...stretch, from: Math.max(from, stretch.from), to: Math.min(to, stretch.to) }))
    .filter((stretch) => stretch.to > stretch.from);
  const edges = [...new Set([from, to, ...within.flatMap((stretch) => [stretch.from, stretch.to])])].toSorted(
    (a, b) => a - b,
  );
  for (const [index, begin] of edges.entries()) {
    const end = edges[index + 1];
    if (end === undefined) break;
    const kinds = new Set(
      within.filter((stretch) => stretch.from <= begin && stretch.to >= end).map(({ kind }) => kind),
    );
    time[precedence.find((kind) => kinds.has(kind)) ?? 'engine'] += end - begin;
  }
  return time;
}

/** When a worker had it, and when none did: between its acceptance, its starts, its resumptions and its ends. */
export function stays(events: readonly RunEvent[], now: number): Stretch[] {
  const found: Stretch[] = [];
  let queuedFrom: number | null = null;
  let claimedFrom: number | null = null;
  let last = 0;
  for (const event of events) {
    const at = Date.parse(event.at);
    const begins = beginOf(event);
    if (claimedFrom !== null && begins !== null) {
      found.push({ kind: 'claim', from: claimedFrom, to: begins });
      claimedFrom = null;
    }
    if (event.type === 'run.accepted' || event.type === 'run.retried') queuedFrom = at;
    else if (event.type === 'run.started') {
      if (queuedFrom !== null) found.push({ kind: 'queue', from: queuedFrom, to: at });
      queuedFrom = null;
      claimedFrom = at;
    } else if (event.type === 'run.resumed') {
      found.push({ kind: 'recovery', from: last, to: at });
      claimedFrom = at;
    }
    last = at;
  }
  if (queuedFrom !== null) found.push({ kind: 'queue', from: queuedFrom, to: now });
  return found;
}

/** When the first thing a run does after its claim began; null: this is no such thing. */
function beginOf({ type, at, data }: RunEvent): number | null {
  if (type === 'run.started' || type === 'run.resumed' || type === 'run.accepted') return null;
  return Date.parse(typeof data.startedAt === 'string' ? data.startedAt : at);
}
