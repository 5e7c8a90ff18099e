import { dueTimes, maxCatchUp, nextTime, type MissedPolicy, type Recurrence } from '@flowstate/contracts';

/** A firing is on time this long after its due time; later, the missed-run policy decides. */
const graceMs = 60_000;
/** Firings of one schedule in one transaction; what is left stays due and is next. */
const slice = 10;

export type Plan = {
  /** Due times to fire now, oldest first. */
  fire: Date[];
  /** Due times given up. Of a cron's gap only one is counted, unless `run-all` looked at each. */
  missed: number;
  /** When it is due next: after `now`, unless more is left to be made up for. Null: never again. */
  nextAt: Date | null;
};

/** What a schedule that was due at `nextAt` has to do at `now`. */
export function planFirings(
  schedule: Recurrence & { missed: MissedPolicy },
  { nextAt: first, now }: { nextAt: Date; now: Date },
): Plan {
  const later = nextTime(schedule, now);
  if (schedule.missed === 'run-all') {
    const { times, count } = dueTimes(schedule, { first, until: now, limit: maxCatchUp });
    return { fire: times.slice(0, slice), missed: count - times.length, nextAt: times[slice] ?? later };
  }
  const { times, count } = dueTimes(schedule, { first, until: now, limit: 1 });
  const inTime = times.filter((time) => now.valueOf() - time.valueOf() <= graceMs);
  const fire = schedule.missed === 'skip' ? inTime : times;
  return { fire, missed: count - fire.length, nextAt: later };
}
