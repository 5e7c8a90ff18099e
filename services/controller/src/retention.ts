import { lowestId } from '@flowstate/contracts';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import {
  deleteEndedSessions,
  deleteEndedWorkers,
  deleteFinishedRuns,
  deleteModelCallsOf,
  deleteOldKeys,
  deleteOldRecommendations,
  deleteOrphanedApprovals,
  deleteWebhooksOf,
  dropLedgerWeek,
  expendableRuns,
  firstKey,
  isLocked,
  ruleByAge,
  ruleByCount,
  weeksBefore,
  type KeyPlace,
  type LedgerWeek,
  type RetentionRule,
  type Sql,
} from '@flowstate/store';

type Options = {
  sql: Sql;
  log: Logger;
  /** Finished runs are kept so many days; 0: for good. */
  days: number;
  /** Finished runs kept at most; 0: any number. */
  maxRuns: number;
  onDeleted: (table: string, rows: number) => void;
  /** Milliseconds from the end of one pass to the next. */
  everyMs?: number;
  /** Milliseconds between two batches: whoever works on runs comes first. */
  pauseMs?: number;
};

const batch = 200;
const keysBatch = 2_000;
const sessionsBatch = 2_000;
/** Days for which an incident can still ask who was logged in, from where. */
const sessionDays = 30;
/** A week that is in use at the moment is tried again so often, and then an hour later. */
const dropTries = 5;

/**
 * Deletes what has had its time, one small batch a call: call it again and again; false says that nothing is due.
 * Whole weeks are dropped where everything in them may go, the rest is deleted run by run. A live run stays, and with
 * it whatever it may still need.
 */
export function createRetention(options: Options) {
  const { sql, log, days, maxRuns, onDeleted, everyMs = 3_600_000, pauseMs = 50 } = options;
  let dueAt = 0;
  let pass: AsyncGenerator<void> | undefined;

  async function* clean(): AsyncGenerator<void> {
    yield* cleanKeys();
    yield* repeat('sessions', () => deleteEndedSessions(sql, sessionDays, sessionsBatch), sessionsBatch);
    if (days > 0) yield* cleanRuns(await ruleByAge(sql, days));
    const byCount = maxRuns > 0 ? await ruleByCount(sql, maxRuns) : null;
    if (byCount !== null) yield* cleanRuns(byCount);
    if (days > 0) {
      yield* repeat('workers', () => deleteEndedWorkers(sql, days, batch), batch);
      yield* repeat('recommendations', () => deleteOldRecommendations(sql, days, batch), batch);
    }
    yield* repeat('approvals', () => deleteOrphanedApprovals(sql, batch), batch);
  }

  async function* cleanKeys(): AsyncGenerator<void> {
    for (let after: KeyPlace | null = firstKey; after !== null;) {
      const { deleted, next }: { deleted: number; next: KeyPlace | null } = await deleteOldKeys(sql, after, keysBatch);
      onDeleted('idempotency', deleted);
      after = next;
      yield;
    }
  }

  async function* cleanRuns(rule: RetentionRule): AsyncGenerator<void> {
    for (const week of await weeksBefore(sql, rule)) yield* dropWeek(week, rule);
    for (let after = lowestId; ;) {
      const ids = await expendableRuns(sql, rule, { after, limit: batch });
      if (ids.length === 0) return;
      const deleted = await deleteFinishedRuns(sql, ids, rule);
      for (const [table, rows] of Object.entries(deleted)) onDeleted(table, rows);
      after = ids.at(-1) ?? after;
      yield;
    }
  }

  /** Its runs first: without them the rest can be seen by nobody, and goes now or in a later pass. */
  async function* dropWeek(week: LedgerWeek, rule: RetentionRule): AsyncGenerator<void> {
    if (week.tables.includes('runs') && !(await drop('runs', week, rule))) return;
    yield* repeat('webhook_deliveries', () => deleteWebhooksOf(sql, week, batch), batch);
    yield* repeat('model_calls', () => deleteModelCallsOf(sql, week, batch), batch);
    for (const table of week.tables.filter((each) => each !== 'runs')) {
      await drop(table, week, rule);
      yield;
    }
  }

  async function drop(table: string, week: LedgerWeek, rule: RetentionRule): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        const dropped = await dropLedgerWeek(sql, table, week, rule);
        if (dropped === null) return false;
        onDeleted(table, dropped);
        log.info({ table, week: week.week, rows: dropped }, 'week dropped');
        return true;
      } catch (error) {
        if (!isLocked(error)) throw error;
        if (tries === dropTries) {
          log.info({ table, week: week.week }, 'week in use, dropped another time');
          return false;
        }
        await wait(pauseMs);
      }
    }
  }

  async function* repeat(table: string, work: () => Promise<number>, limit: number): AsyncGenerator<void> {
    for (let rows = limit; rows === limit;) {
      rows = await work();
      onDeleted(table, rows);
      yield;
    }
  }

  return async function retain(): Promise<boolean> {
    if (pass === undefined && performance.now() < dueAt) return false;
    pass ??= clean();
    try {
      const { done } = await pass.next();
      if (done !== true) {
        await wait(pauseMs);
        return true;
      }
      dueAt = performance.now() + everyMs;
    } catch (error) {
      pass = undefined; // from the start, after the loop's own pause
      throw error;
    }
    pass = undefined;
    return false;
  };
}
