import type { Logger } from '@flowstate/runtime';
import { startForgotten, type Sql } from '@flowstate/store';

/** A gateway gathers documents of an import for some seconds before it starts a run for them. */
const afterMs = 60_000;
/** As many as a gateway gives one run. */
const runSize = 1_000;

/** Has documents embedded whose gateway died between storing them and starting their run. */
export function createForgottenDocuments({ sql, log }: { sql: Sql; log: Logger }) {
  return async function startAll(): Promise<boolean> {
    const started = await startForgotten(sql, { afterMs, limit: runSize });
    if (started?.runId) log.info(started, 'stored documents had no run: started');
    return started !== null;
  };
}
