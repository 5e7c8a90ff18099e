import type { DateFormat, FieldError } from '@flowstate/contracts';
import type { TSchema } from 'typebox';
import { exampleOf, readDate, readTimestamp } from './dates.ts';
import { parseHistory } from './opportunity-history.ts';

export type Kind = 'text' | 'number' | 'date' | 'timestamp' | 'json';
/** A cell that is not what its field needs. */
export class Unreadable extends Error {}

/** What a field of this schema holds. */
export function kindOf(schema: TSchema | undefined): Kind {
  const { type, format } = (schema ?? {}) as { type?: string | string[]; format?: string };
  const types = new Set([type ?? []].flat());
  if (format === 'date') return 'date';
  if (format === 'date-time') return 'timestamp';
  if (types.has('number') || types.has('integer')) return 'number';
  return types.has('array') || types.has('object') ? 'json' : 'text';
}

type Reader = (text: string, field: string, format: DateFormat) => unknown;

const readers: Record<Kind, Reader> = {
  text: (text, field) => (field === 'stage' ? text.trim().toLowerCase() : text),
  number: (text) => (/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text),
  date: (text, _field, format) => readDate(text, format) ?? unreadable(noDate(format)),
  timestamp: (text, _field, format) => readTimestamp(text, format) ?? unreadable(noDate(format)),
  json: readJson,
};

/** Text as the field's own type; what is no number stays text for the schema to refuse. Throws `Unreadable`. */
export function readText(text: string, kind: Kind, field: string, format: DateFormat): unknown {
  return readers[kind](text, field, format);
}

function readJson(text: string, field: string): unknown {
  if (field === 'history' && !text.startsWith('[')) {
    return parseHistory(text) ?? unreadable('must be entries like stage@date, separated by semicolons');
  }
  try {
    return JSON.parse(text);
  } catch {
    return unreadable('must be JSON');
  }
}

function noDate(format: DateFormat): string {
  return `must be a date like ${exampleOf(format)}`;
}

function unreadable(message: string): never {
  throw new Unreadable(message);
}

/** Times and stages within lists (a history, incidents) are brought into the same form in place. */
export function readNested(row: Record<string, unknown>, format: DateFormat): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['history', 'incidents']) {
    const list = row[field];
    if (!Array.isArray(list)) continue;
    row[field] = list.map((entry: unknown, i) => {
      if (typeof entry !== 'object' || entry === null) return entry;
      const copy: Record<string, unknown> = { ...entry };
      for (const key of ['at', 'openedAt', 'closedAt']) {
        const text = copy[key];
        if (typeof text !== 'string') continue;
        copy[key] = readTimestamp(text, format);
        if (copy[key] === undefined) {
          errors.push({ field: `${field}.${i}.${key}`, message: noDate(format) });
        }
      }
      if (typeof copy.stage === 'string') copy.stage = copy.stage.trim().toLowerCase();
      return copy;
    });
  }
  return errors;
}
