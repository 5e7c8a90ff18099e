import type { Interaction } from '@flowstate/contracts';
import { dayMs } from './timestamps.ts';

/** An interaction with its time in milliseconds. */
export type Timed = { row: Interaction; time: number };

/** From `from`, exclusive, to `to`, inclusive, in milliseconds: spans that touch share nothing. */
export type Span = { from: number; to: number };

/** The recent span of a customer's interactions and the one it is compared with, in days. */
export const recentDays = 30;
export const previousDays = 90;

/** The last thirty days before `now`, and the ninety before those. */
export function comparedSpans(now: number): { recent: Span; previous: Span } {
  const border = now - recentDays * dayMs;
  return { recent: { from: border, to: now }, previous: { from: border - previousDays * dayMs, to: border } };
}

export function within({ time }: { time: number }, { from, to }: Span): boolean {
  return time > from && time <= to;
}

/** By code units: the same order on every machine, whatever its locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
