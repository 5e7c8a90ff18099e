import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { isDatabaseOutage, isUndoneForOthers } from '@flowstate/store';

export type ThroughOutages = <T>(write: () => Promise<T>) => Promise<T>;

/**
 * Does a write of the ledger again until Postgres is there, and when Postgres undid it because it and others waited for
 * each other; it must bear being done twice.
 */
export function createThroughOutages(log: Logger): ThroughOutages {
  return async function throughOutages(write) {
    for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, 1000)) {
      try {
        return await write();
      } catch (error) {
        if (!isDatabaseOutage(error) && !isUndoneForOthers(error)) throw error;
        log.warn({ err: error, delayMs }, 'ledger unreachable or in the way of others, write will be tried again');
        await wait(delayMs);
      }
    }
  };
}
