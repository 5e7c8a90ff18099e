import { OneOf } from '@flowstate/contracts';
import type { Static } from 'typebox';

/** `ratio` is 0 to 1 and shown in percent, `score` is a sentiment from -1 to 1, `points` are out of a hundred. */
export const Unit = OneOf(['count', 'usd', 'ratio', 'score', 'similarity', 'days', 'hours', 'minutes', 'ms', 'points']);
export type Unit = Static<typeof Unit>;

const grouped = (most: number, least = 0) =>
  new Intl.NumberFormat('en-US', { maximumFractionDigits: most, minimumFractionDigits: least });
const [whole, tenths, cents] = [grouped(0), grouped(1), grouped(2, 2)];
const plural = (text: string, one: string) => `${text} ${text === '1' ? one : `${one}s`}`;

/** The one way a figure is written; the report is checked against it token by token. */
export function formatFigure(value: number, unit: Unit): string {
  if (unit === 'usd') {
    const amount = Number.isInteger(value) ? whole : cents;
    return `${value < 0 ? '-' : ''}$${amount.format(Math.abs(value))}`;
  }
  if (unit === 'ratio') return `${tenths.format(value * 100)}%`;
  if (unit === 'score' || unit === 'similarity') return (value + 0).toFixed(2).replace(/^-(0\.00)$/, '$1');
  if (unit === 'days') return plural(whole.format(value), 'day');
  if (unit === 'hours') return plural(tenths.format(value), 'hour');
  if (unit === 'minutes') return plural(whole.format(value), 'minute');
  if (unit === 'ms') return `${whole.format(value)} ms`;
  if (unit === 'points') return `${tenths.format(value)}/100`;
  return tenths.format(value);
}

/** Every number in a text, in any script, as written. */
export function numberTokens(text: string): string[] {
  return text.match(/\p{N}+(?:[.,]\p{N}+)*/gu) ?? [];
}
