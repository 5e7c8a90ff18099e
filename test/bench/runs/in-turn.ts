import { mediansOf, type Figures } from '../medians.ts';

export type Measured<T extends Figures> = { medians: Record<string, T>; rounds: Record<string, T[]> };

type Options<I extends { name: string }, T extends Figures> = {
  items: readonly I[];
  rounds: number;
  signal: AbortSignal;
  measure: (item: I) => Promise<T>;
  log: (line: string) => void;
  /** What the log says of one measurement. */
  told: (figures: T) => string;
};

/**
 * Measures each item once a round and takes medians over the rounds. In turn, so that what slows the machine down for
 * a while slows all; each round begins with another one.
 */
export async function measureInTurn<I extends { name: string }, T extends Figures>(
  options: Options<I, T>,
): Promise<Measured<T>> {
  const { items, signal, measure, log, told } = options;
  const rounds: Record<string, T[]> = Object.fromEntries(items.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    const first = round % Math.max(1, items.length);
    for (const item of [...items.slice(first), ...items.slice(0, first)]) {
      signal.throwIfAborted();
      const figures = await measure(item);
      rounds[item.name]?.push(figures);
      log(`round ${round + 1} of ${options.rounds}, ${item.name}: ${told(figures)}`);
    }
  }
  return { rounds, medians: Object.fromEntries(Object.entries(rounds).map(([name, each]) => [name, mediansOf(each)])) };
}
