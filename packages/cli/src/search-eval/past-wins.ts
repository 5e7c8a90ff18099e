import { isClosed, type Opportunity } from '@flowstate/contracts';

/** A product a customer won for the first time, as it stood when it was opened: what was to be recommended then. */
export type PastWin = {
  customer: string;
  product: string;
  at: string;
  /** What the customer had not bought yet, by how many other customers had, the most first. */
  byPopularity: string[];
};

/**
 * First wins of a product by a customer who was not being offered it before, the latest first. Popularity is counted as
 * of the same moment as what is recommended, so that neither knows the future.
 */
export function pastWins(opportunities: readonly Opportunity[]): PastWin[] {
  const won = opportunities.filter(({ stage }) => stage === 'won');
  const firsts = won.flatMap((win): PastWin[] => {
    const { customer, product, openedAt } = win;
    if (!openedAt) return [];
    const before = opportunities.filter((other) => {
      return (
        other !== win && other.customer === customer && other.product === product && isBefore(other.openedAt, openedAt)
      );
    });
    if (before.length > 0) return [];
    const closedBefore = won.filter(({ closedAt }) => isBefore(closedAt, openedAt));
    const own = opportunities.filter((other) => other.customer === customer);
    const taken = new Set([
      ...own.filter(({ stage, closedAt }) => stage === 'won' && isBefore(closedAt, openedAt)).map((one) => one.product),
      ...own.filter((one) => isOpenAt(one, openedAt)).map((one) => one.product),
    ]);
    const buyers = Map.groupBy(
      closedBefore.filter((other) => other.customer !== customer && !taken.has(other.product)),
      (other) => other.product,
    );
    const byPopularity = [...buyers]
      .map(([name, wins]) => ({ name, count: new Set(wins.map((one) => one.customer)).size }))
      .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
      .map(({ name }) => name);
    // Nobody had bought it then: nobody could have recommended it.
    return byPopularity.includes(product) ? [{ customer, product, at: openedAt, byPopularity }] : [];
  });
  // The same day's second opportunity of a product is no other win.
  const distinct = new Map(firsts.map((win) => [JSON.stringify([win.customer, win.product]), win]));
  return [...distinct.values()].toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

function isBefore(time: string | null | undefined, moment: string): boolean {
  return time !== null && time !== undefined && Date.parse(time) < Date.parse(moment);
}

function isOpenAt({ stage, openedAt, closedAt }: Opportunity, moment: string): boolean {
  return (
    isBefore(openedAt, moment) &&
    (!isClosed({ stage }) || (typeof closedAt === 'string' && !isBefore(closedAt, moment)))
  );
}
