import { Cron } from 'croner';
import type { FieldError } from './errors.ts';

/** When something happens again and again. Exactly one of `cron` and `everyMs` is set. */
export type Recurrence = {
  cron: string | null;
  everyMs: number | null;
  /** IANA name; `cron` is read in it. */
  timezone: string;
  /** What `everyMs` is counted from when there is no `startAt`. */
  createdAt: Date;
  /** First and last moment at which it may happen. */
  startAt: Date | null;
  endAt: Date | null;
};

/**
 * What is wrong with a recurrence, by field; empty when it happens at least once after `now`.
 *
 * Summer time is Vixie cron's (croner): a cron with fixed times (no `*` or step in hour and minute) that falls into the
 * hour left out in spring happens at that hour's end, one that falls into the hour repeated in autumn happens once, at
 * its first; a cron with `*` or a step follows the real time through both. `everyMs` knows no clocks.
 */
export function recurrenceErrors(recurrence: Recurrence, now: Date): FieldError[] {
  const errors: FieldError[] = [];
  const { cron, everyMs, timezone, startAt, endAt } = recurrence;
  if ((cron === null) === (everyMs === null)) {
    errors.push({
      field: 'cron',
      message: cron === null ? 'or everyMs is required' : 'and everyMs exclude each other',
    });
  }
  if (!isTimezone(timezone)) errors.push({ field: 'timezone', message: 'is not a known IANA time zone' });
  if (startAt !== null && Number.isNaN(startAt.valueOf())) errors.push({ field: 'startAt', message: 'is not a time' });
  if (endAt !== null && Number.isNaN(endAt.valueOf())) errors.push({ field: 'endAt', message: 'is not a time' });
  else if (endAt !== null && endAt <= now) errors.push({ field: 'endAt', message: 'is past' });
  else if (endAt !== null && startAt !== null && endAt < startAt) {
    errors.push({ field: 'endAt', message: 'is before startAt' });
  }
  const wrong = cron === null ? undefined : cronError(cron);
  if (wrong !== undefined) errors.push({ field: 'cron', message: wrong });
  if (errors.length === 0 && nextTime(recurrence, now) === null) {
    const when = startAt === null && endAt === null ? '' : ' between startAt and endAt';
    errors.push({ field: cron === null ? 'everyMs' : 'cron', message: `never fires${when}` });
  }
  return errors;
}

/** The first time after `after`, itself excluded; null when there is none. */
export function nextTime(recurrence: Recurrence, after: Date): Date | null {
  const { everyMs, startAt, endAt } = recurrence;
  // A start counts itself.
  const from = startAt !== null && startAt > after ? startAt.valueOf() - 1 : after.valueOf();
  const next = everyMs === null ? cronOf(recurrence).nextRun(new Date(from)) : nextInterval(recurrence, everyMs, from);
  return next === null || (endAt !== null && next > endAt) ? null : next;
}

/**
 * Everything that was due from `first` (due by itself) to `until`: the latest `limit` times, oldest first, and how many
 * there were. Of a cron no more than `limit + 1` are counted.
 */
export function dueTimes(
  recurrence: Recurrence,
  { first, until, limit }: { first: Date; until: Date; limit: number },
): { times: Date[]; count: number } {
  const { everyMs, endAt } = recurrence;
  const second = nextTime(recurrence, first);
  if (second === null || second > until) return { times: [first], count: 1 };
  const last = endAt !== null && endAt < until ? endAt : until;
  const later =
    everyMs === null
      ? cronOf(recurrence)
          .previousRuns(limit, new Date(last.valueOf() + 1))
          .filter((time) => time > first)
          .toReversed()
      : latestIntervals(second, last, everyMs, limit);
  const count = 1 + (everyMs === null ? later.length : Math.floor((last.valueOf() - second.valueOf()) / everyMs) + 1);
  return { times: [first, ...later].slice(-limit), count };
}

function nextInterval({ startAt, createdAt }: Recurrence, everyMs: number, after: number): Date {
  // Counted from the start that is its first time, or from the creation that is none.
  const anchor = startAt?.valueOf() ?? createdAt.valueOf() + everyMs;
  return new Date(anchor + Math.max(0, Math.floor((after - anchor) / everyMs) + 1) * everyMs);
}

function latestIntervals(second: Date, last: Date, everyMs: number, limit: number): Date[] {
  const steps = Math.floor((last.valueOf() - second.valueOf()) / everyMs);
  const from = Math.max(0, steps - limit + 1);
  return Array.from({ length: steps - from + 1 }, (_, i) => new Date(second.valueOf() + (from + i) * everyMs));
}

function cronOf({ cron, timezone }: Pick<Recurrence, 'cron' | 'timezone'>): Cron {
  if (cron === null) throw new Error('a recurrence has neither cron nor everyMs');
  return new Cron(cron, { timezone, paused: true, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' });
}

function cronError(cron: string): string | undefined {
  try {
    // A moment in ISO 8601 would be taken, too.
    return cronOf({ cron, timezone: 'UTC' }).getOnce() === null ? undefined : 'must be a cron pattern';
  } catch (error) {
    return `is not a cron pattern: ${(error as Error).message.replace(/^CronPattern: /, '')}`;
  }
}

/** Offsets such as +02:00 are no zones: they know no summer time. */
function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
