import { ageBucketOf, ageBuckets, isClosed, type BaseRate, type Opportunity } from '@flowstate/contracts';
import type { Evidence } from './evidence.ts';
import { dayMs, timeOf } from './timestamps.ts';

type Dimension = BaseRate['dimension'];

/** Closed opportunities as win rates need them: the counts, and how to find the rows behind a count. */
export type History = {
  rates: readonly BaseRate[];
  /** The closed opportunities with this value. Past stages and ages have no list: they are read off all closed ones. */
  evidence(dimension: Dimension, value: string): Evidence;
};

/**
 * Base rates of closed opportunities, the same counts as the API's: values are taken exactly as stored, `age` is the
 * whole days from opening to closing (rows without either are not counted there), `stage` counts a row once for every
 * stage it ever entered but won and lost.
 */
export function baseRatesOf(rows: readonly Opportunity[]): BaseRate[] {
  const rates = new Map<string, BaseRate>();
  for (const row of rows.filter(isClosed)) {
    for (const [dimension, value] of cellsOf(row)) {
      const key = `${dimension} ${value}`;
      const rate = rates.get(key) ?? { dimension, value, closed: 0, won: 0, wonAmount: 0, wonWithAmount: 0 };
      rate.closed += 1;
      if (row.stage === 'won') {
        rate.won += 1;
        if (typeof row.amount === 'number') {
          rate.wonAmount += row.amount;
          rate.wonWithAmount += 1;
        }
      }
      rates.set(key, rate);
    }
  }
  return [...rates.values()];
}

function cellsOf(row: Opportunity): [Dimension, string][] {
  const entered = new Set((row.history ?? []).filter((entry) => !isClosed(entry)).map(({ stage }) => stage));
  const cells: [Dimension, string][] = [
    ['all', ''],
    ['product', row.product],
    ['owner', row.owner],
  ];
  for (const stage of entered) cells.push(['stage', stage]);
  if (row.openedAt && row.closedAt) {
    const days = Math.floor((timeOf(row.closedAt) - timeOf(row.openedAt)) / dayMs);
    cells.push(['age', ageBucketOf(days)]);
  }
  return cells;
}

/** More rows than this are named by a request instead: every open opportunity repeats its evidence. */
const namedRows = 50;

/** History given inline as `facts.<field>`: evidence names the rows, or, of many, the place in the run's input. */
export function inlineHistory(rows: readonly Opportunity[], field: 'history' | 'opportunities'): History {
  const closed = rows.filter(isClosed);
  return {
    rates: baseRatesOf(closed),
    evidence(dimension, value) {
      const matches = (row: Opportunity) =>
        !isListed(dimension) || cellsOf(row).some(([kind, name]) => kind === dimension && name === value);
      const ids = closed.filter(matches).map(({ id }) => id);
      if (ids.length <= namedRows) return { kind: 'opportunity', ids };
      return { kind: 'opportunity', query: `input.facts.${field}?${filterOf(dimension, value)}`, count: ids.length };
    },
  };
}

/** History counted by the API over everything stored: evidence is the request that lists the rows. */
export function storedHistory(rates: readonly BaseRate[]): History {
  return {
    rates,
    evidence(dimension, value) {
      const listed = isListed(dimension) ? rateOf(rates, dimension, value) : rateOf(rates, 'all', '');
      const query = `/api/opportunities?${filterOf(dimension, value)}`;
      return { kind: 'opportunity', query, count: listed.closed };
    },
  };
}

function filterOf(dimension: Dimension, value: string): string {
  return isListed(dimension) ? `closed=true&${dimension}=${encodeURIComponent(value)}` : 'closed=true';
}

/** Can the API list the opportunities with a value of this? Its filter `stage` means the present one. */
function isListed(dimension: Dimension): dimension is 'product' | 'owner' {
  return dimension === 'product' || dimension === 'owner';
}

/** The counts of one value, zeros when it never occurred. */
export function rateOf(rates: readonly BaseRate[], dimension: Dimension, value: string): BaseRate {
  const found = rates.find((rate) => rate.dimension === dimension && rate.value === value);
  return found ?? { dimension, value, closed: 0, won: 0, wonAmount: 0, wonWithAmount: 0 };
}

/** Counts of the opportunities that were still open at `bucket`'s beginning: of this age at their close, or older. */
export function survivorsOf(rates: readonly BaseRate[], bucket: (typeof ageBuckets)[number]): BaseRate {
  const total = { dimension: 'age' as const, value: bucket, closed: 0, won: 0, wonAmount: 0, wonWithAmount: 0 };
  for (const older of ageBuckets.slice(ageBuckets.indexOf(bucket))) {
    const rate = rateOf(rates, 'age', older);
    total.closed += rate.closed;
    total.won += rate.won;
    total.wonAmount += rate.wonAmount;
    total.wonWithAmount += rate.wonWithAmount;
  }
  return total;
}
