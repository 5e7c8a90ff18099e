import type { Logger } from '@flowstate/runtime';
import { scheduleLag, type Fired, type Sql } from '@flowstate/store';
import { Counter, type Registry } from '@prometheus-io/client';
import { createScrapedGauges } from './scraped-gauges.ts';

/** Counts what firing schedules did, and shows how far it is behind. */
export function scheduleMetrics(registry: Registry, sql: Sql, log: Logger): (fired: Fired) => void {
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name: `flowstate_schedules_${name}_total`, help, registers });
  const fired = counter('fired', 'Runs started by schedules');
  const missed = counter('missed', "Due times given up by the missed-run policy; of a cron's gap at least one");
  const skipped = counter('skipped', 'Due times left out because the run before was not over');
  const suspended = counter('suspended', 'Schedules suspended because they could not fire');
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => scheduleLag(sql),
    trouble: "the schedules' lag cannot be read",
  });
  gauge({
    name: 'flowstate_schedules_due_lag_seconds',
    help: 'For how long the longest due schedule has waited; 0 when none is due, without a sample while Postgres is away',
    samples: (lag) => [[{}, lag]],
  });
  return (done) => {
    fired.inc(done.fired);
    missed.inc(done.missed);
    skipped.inc(done.skipped);
    suspended.inc(done.suspended.length);
  };
}
