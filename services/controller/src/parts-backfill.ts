import type { Logger } from '@flowstate/runtime';
import { startPartsBackfill, type Sql } from '@flowstate/store';

/** Documents of one run: minutes of work, which a search by text hardly feels beside it. */
const runSize = 200;

/** Has long documents from before parts were embedded embedded again, one run after the other. */
export function createPartsBackfill({ sql, log }: { sql: Sql; log: Logger }) {
  return async function backfill(): Promise<boolean> {
    const started = await startPartsBackfill(sql, runSize);
    if (started !== null) log.info(started, 'long documents are embedded again, in parts');
    return false; // the next one waits for this one
  };
}
