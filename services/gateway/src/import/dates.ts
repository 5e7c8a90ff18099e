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

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

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
  const { date, time, zone = 'Z' } = parts;
  if (time === undefined) return `${date}T00:00:00.000Z`;
  const moment = new Date(`${date}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(moment.getTime())) return undefined;
  const iso = moment.toISOString();
  // Zones may lead out of the years of four digits that RFC 3339 has, and into the year 0.
  return /^\d{4}-/.test(iso) && !iso.startsWith('0000') ? iso : undefined;
}

/** The day as it is written, `2026-01-31`; undefined like `readTimestamp`. */
export function readDate(text: string, format: DateFormat): string | undefined {
  return readParts(text, format)?.date;
}

type Parts = { date: string; time: string | undefined; zone: string | undefined };

function readParts(text: string, format: DateFormat): Parts | undefined {
  const groups = readers[format].pattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const { year: written = '', month: m = '1', day: d = '1', time, zone } = groups;
  const year = written.length === 4 ? written : `${Number(written) < pivot ? '20' : '19'}${written}`;
  if (!isDay(Number(year), Number(m), Number(d))) return undefined;
  return { date: `${year}-${m.padStart(2, '0')}-${d.padStart(2, '0')}`, time, zone };
}

/** Is it a day of the (proleptic Gregorian) calendar? Counted here, since `Date` takes 31 February for 3 March. */
function isDay(year: number, month: number, day: number): boolean {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && isLeap ? 29 : (monthDays[month - 1] ?? 0);
  return year > 0 && day > 0 && day <= days;
}
