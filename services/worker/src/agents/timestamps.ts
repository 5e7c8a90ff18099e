export const minuteMs = 60_000;
export const hourMs = 3_600_000;
export const dayMs = 86_400_000;

const rfc3339 = /^(\d{4}-\d\d-\d\d)[t\s](\d\d:\d\d):(\d\d)(\.\d+)?(?:z|([+-]\d\d):?(\d\d)?)$/i;

/**
 * Milliseconds since 1970 of a timestamp that passed the `date-time` format. That format allows forms `Date.parse`
 * does not read everywhere (a leap second, `+05`, a lower-case `z`), and a NaN would spread silently through every sum.
 * Throws RangeError on anything else.
 */
export function timeOf(timestamp: string): number {
  const parts = rfc3339.exec(timestamp);
  if (parts === null) throw new RangeError(`not a timestamp: ${timestamp.slice(0, 40)}`);
  const [, date, minute, second, fraction = '', hours, minutes = '00'] = parts;
  const zone = hours === undefined ? 'Z' : `${hours}:${minutes}`;
  const time = Date.parse(`${date}T${minute}:${second === '60' ? '59' : second}${fraction.slice(0, 4)}${zone}`);
  if (Number.isNaN(time)) throw new RangeError(`not a timestamp: ${timestamp.slice(0, 40)}`);
  return time;
}

/** Calendar day in UTC, `2026-03-31`. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** Whole days from `from` to `to`, never negative: what lies ahead is zero days old. */
export function daysBetween(from: number, to: number): number {
  return Math.max(0, Math.floor((to - from) / dayMs));
}
