import type { Backend } from '@flowstate/workflow';
import { FlowstateError } from '@flowstate/contracts';
import { createCrm, maxRows } from '../crm.ts';
import type { Condition, Source } from './calculation.ts';

export type Row = { id: string; fields: Record<string, unknown> };

/** The rows that are asked for, read with the run's authority. Throws when there are more than can be read. */
export async function readRows(backend: Backend, signal: AbortSignal, source: Source): Promise<Row[]> {
  const { rows: kind, customer, where = [] } = source;
  const { rows, truncated } = await createCrm(backend, signal)[kind](customer);
  // A sum over a part would be a wrong figure with a right look.
  if (truncated)
    throw new FlowstateError('invalid_input', `there are more than ${maxRows} ${kind}: nothing is computed`);
  return rows
    .map((row) => ({ id: row.externalId, fields: row as Record<string, unknown> }))
    .filter(({ fields }) => where.every((condition) => holds(condition, fields)));
}

/** The numbers of a field, and the rows they stand in. */
export function valuesOf(rows: readonly Row[], field: string): { values: number[]; ids: string[] } {
  const found = rows.flatMap(({ id, fields }) => {
    const value = own(fields, field);
    return typeof value === 'number' ? [{ id, value }] : [];
  });
  return { values: found.map(({ value }) => value), ids: found.map(({ id }) => id) };
}

function holds({ field, is, value: wanted }: Condition, fields: Record<string, unknown>): boolean {
  const value = own(fields, field) ?? null;
  if (is === 'eq') return value === wanted;
  if (is === 'ne') return value !== wanted;
  const order = compare(value, wanted);
  if (order === null) return false;
  return { lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[is];
}

/** Numbers by size, texts as moments where both are (`2026-01-01`, RFC 3339), else by code unit; null: no order. */
function compare(a: unknown, b: unknown): number | null {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== 'string' || typeof b !== 'string') return null;
  const [at, bt] = [momentOf(a), momentOf(b)];
  if (at !== null && bt !== null) return at - bt;
  return a < b ? -1 : a > b ? 1 : 0;
}

function momentOf(text: string): number | null {
  const moment = /^\d{4}-\d\d-\d\d(T.*)?$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(moment) ? null : moment;
}

function own(fields: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}
