import type { SearchKind } from '@flowstate/contracts';
import { explainMatch, type Match, type Sql } from '@flowstate/store';
import { planHash } from './plan-hash.ts';

/** A search in Postgres that took long: how it was asked and gone about, but nothing of what was asked. */
export type SlowSearch = {
  kind: SearchKind;
  ms: number;
  collections: readonly string[];
  limit: number;
  threshold: number;
  /** Of the filter, whose values are not told. */
  filterKeys: string[];
  exact: boolean;
  /** Equal for calls that Postgres goes about in the same way; null: it could not be told. */
  planHash: string | null;
};

type Options = {
  sql: Sql;
  /** Milliseconds from which a call is slow. */
  slowMs: number;
  onSlow(call: SlowSearch): void;
};

/** More calls than this do not wait for their plan: that would add to whatever makes them slow. */
const maxWaiting = 20;

/** Tells of slow calls, once each, after they are answered; their plans are looked up one at a time. */
export function createSlowCalls({ sql, slowMs, onSlow }: Options) {
  let last = Promise.resolve();
  let waiting = 0;

  async function hashOf(match: Match): Promise<string | null> {
    try {
      return planHash(await explainMatch(sql, match));
    } catch {
      return null; // Postgres is busy or away, and the call is told of all the same
    }
  }

  async function tell(call: Omit<SlowSearch, 'planHash'>, match: Match, before: Promise<void>): Promise<void> {
    await before;
    onSlow({ ...call, planHash: await hashOf(match) });
    waiting -= 1;
  }

  return {
    note(kind: SearchKind, match: Match, ms: number): void {
      if (ms < slowMs) return;
      const { collections, limit, threshold, filter, exact = false } = match;
      const call = { kind, ms: Math.round(ms), collections, limit, threshold, filterKeys: Object.keys(filter), exact };
      if (waiting >= maxWaiting) {
        onSlow({ ...call, planHash: null });
        return;
      }
      waiting += 1;
      last = tell(call, match, last);
    },
  };
}
