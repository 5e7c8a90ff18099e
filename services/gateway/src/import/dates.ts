import type { DateFormat } from '@flowstate/contracts';

type Reader = { pattern: RegExp; example: string };

const year4 = '(?<year>\\d{4})';
const month = '(?<month>\\d{1,2})';
const day = '(?<day>\\d{1,2})';
const readers: Record<DateFormat, Reader> = {
  iso: {
    pattern:
      /^(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)(?:[Tt ](?<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?<zone>[Zz]|[+-]\d\d:\d\d)?)?$/,
    example: '2026-01-31 or 2026-01-31T09:30:00Z',
  },
  YYYY: { pattern: new RegExp(`^${year4}$`), example: '2026' },
  'DD-MM-YY': { pattern: new RegExp(`^${day}-${month}-(?<year>\\d\\d)$`), example: '31-01-26' },
  'DD-MM-YYYY': { pattern: new RegExp(`^${day}-${month}-${year4}$`), example: '31-01-2026' },
  'MM/DD/YYYY': { pattern: new RegExp(`^${month}/${day}/${year4}$`), example: '01/31/2026' },
  'DD.MM.YYYY': { pattern: new RegExp(`^${day}\\.${month}\\.${year4}$`), example: '31.01.2026' },
  'YYYY/MM/DD': { pattern: new RegExp(`^${year4}/${month}/${day}$`), example: '2026/01/31' },
};
/** Two-digit years from this one on are of the twentieth century (as POSIX has it, a year later). */
const pivot = 70;

/** What a date of this format looks like, for messages. */
export function exampleOf(format: DateFormat): string {
  return readers[format].example;
}

/**
 * A moment as `2026-01-31T09:30:00.000Z`, undefined when the text is none in this format or no day of the calendar.
 * Without a time of day it is midnight; without a zone, UTC.
 */
export function readTimestamp(text: string, format: DateFormat): string | undefined {
  const parts = readParts(text, format);
  if (parts === undefined) return undefined;
  const moment = new Date(`${parts.date}T${parts.time}${parts.zone}`);
  if (Number.isNaN(moment.getTime())) return undefined;
  const iso = moment.toISOString();
  // Years of more or less than four digits, which neither RFC 3339 nor our format has, and the year 0.
  return /^\d{4}-/.test(iso) && !iso.startsWith('0000') ? iso : undefined;
}

/** The day as it is written, `2026-01-31`; undefined like `readTimestamp`. */
export function readDate(text: string, format: DateFormat): string | undefined {
  return readParts(text, format)?.date;
}

function readParts(text: string, format: DateFormat): { date: string; time: string; zone: string } | undefined {
  const groups = readers[format].pattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const { year = '', month: m = '1', day: d = '1', time = '00:00', zone = 'Z' } = groups;
  const century = Number(year) < pivot ? '20' : '19';
  const date = `${year.length === 2 ? century : ''}${year}-${m.padStart(2, '0')}-${d.padStart(2, '0')}`;
  // Date rolls 31 February over into March: then it is not the day that was written.
  const midnight = new Date(`${date}T00:00:00Z`);
  if (date.startsWith('0000') || Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(date))
    return undefined;
  return { date, time, zone: zone.toUpperCase() };
}
