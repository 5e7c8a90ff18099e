import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { isDatabaseOutage } from '@flowstate/store';

export type ThroughOutages = <T>(write: () => Promise<T>) => Promise<T>;

/** Does a write of the ledger again until Postgres is there; it must bear being done twice. */
export function createThroughOutages(log: Logger): ThroughOutages {
  return async function throughOutages(write) {
    for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, 1000)) {
      try {
        return await write();
      } catch (error) {
        if (!isDatabaseOutage(error)) throw error;
        log.warn({ err: error, delayMs }, 'ledger unreachable, write will be tried again');
        await wait(delayMs);
      }
    }
  };
}
