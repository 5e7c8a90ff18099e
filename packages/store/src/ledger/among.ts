import type { Db } from '../client.ts';

/**
 * Condition on the row called `row`: its id is one of these. Said beside a join that says as much, it keeps the planner
 * to the primary key: `run_live` is empty now and then, and a plan made just after it was analysed so would go through
 * all of its index to find a few.
 */
export function among(db: Db, row: 'l' | 'r', ids: readonly string[]) {
  return db`${db(row)}.id = ANY(${[...ids]}::uuid[])`;
}
