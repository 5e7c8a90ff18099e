import type { Logger } from '@flowstate/runtime';
import { oldestFinishedAge, type Sql } from '@flowstate/store';
import { Counter, type Registry } from '@prometheus-io/client';
import { createScrapedGauges } from './scraped-gauges.ts';

/** What retention deleted, and how old the oldest run is that it left. Returns what counts the rows of a table. */
export function retentionMetrics(registry: Registry, sql: Sql, log: Logger): (table: string, rows: number) => void {
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => oldestFinishedAge(sql),
    trouble: 'age of the oldest run cannot be read',
  });
  gauge({
    name: 'flowstate_retention_oldest_run_age_seconds',
    help: 'Since the end of the oldest finished run that is kept; without a sample while there is none',
    samples: (age) => (age === null ? [] : [[{}, age]]),
  });
  const deleted = new Counter({
    name: 'flowstate_retention_deleted_total',
    help: 'Rows that retention deleted, alone or with their week',
    labelNames: ['table'],
    registers: [registry],
  });
  return (table, rows) => deleted.inc({ table }, rows);
}
