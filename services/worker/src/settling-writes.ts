import { settleModelCalls, type Db, type Settles, type Sql } from '@flowstate/store';
import type { ThroughOutages } from './through-outages.ts';

type Writes<W, A> = {
  writes: W[];
  /** Answers in the order of its writes. */
  write: (db: Db, writes: W[]) => Promise<A[]>;
  isWritten: (answer: A) => boolean;
};

/**
 * Writes a batch to the ledger. What of it settles calls of models goes in a transaction with that: recorded and
 * settled, or neither. All others stay the one statement they are, and clear of the counters' locks.
 */
export function createSettlingWriter(sql: Sql, throughOutages: ThroughOutages) {
  return async function writeBatch<W extends Settles, A>({ writes, write, isWritten }: Writes<W, A>): Promise<A[]> {
    const settling = writes.filter(({ settled }) => settled !== undefined);
    if (settling.length === 0) return throughOutages(() => write(sql, writes));
    const plain = writes.filter(({ settled }) => settled === undefined);
    const [ofPlain, ofSettling] = await Promise.all([
      plain.length === 0 ? [] : throughOutages(() => write(sql, plain)),
      throughOutages(() => settleWith(settling)),
    ]);
    return writes.map(({ settled }) => (settled === undefined ? ofPlain.shift() : ofSettling.shift()) as A);

    async function settleWith(batch: W[]): Promise<A[]> {
      let answers: A[] = [];
      await sql.begin(async (tx) => {
        answers = await write(tx, batch);
        await settleModelCalls(
          tx,
          batch.filter((_, index) => isWritten(answers[index] as A)),
        );
      });
      return answers;
    }
  };
}
