import { nextTime, type Recurrence } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import { rehearseRotation } from '@flowstate/security';
import { readLastRehearsal, type Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import type { Redis } from 'ioredis';
import { createScrapedGauges } from './scraped-gauges.ts';

type Options = {
  sql: Sql;
  redis: Redis;
  registry: Registry;
  log: Logger;
  /** Five fields, UTC; null: only by hand. */
  cron: string | null;
  /** Before it nothing was due. */
  startedAt?: Date;
};

/** So late a rehearsal is overdue. */
const graceMs = 3600_000;

/** Rehearses a rotation by schedule, whoever rehearsed last, and shows the verdict and whether one is overdue. */
export function createRehearser({ sql, redis, registry, log, cron, startedAt = new Date() }: Options) {
  const gauge = createScrapedGauges({
    registry,
    log,
    read: () => readLastRehearsal(sql),
    trouble: 'last rehearsal cannot be read',
  });
  gauge({
    name: 'flowstate_rotation_rehearsal_passed',
    help: '1 when the last rehearsal of a rotation passed, else 0; no sample until there was one',
    samples: ({ last }) => (last === null ? [] : [[{}, Number(last.passed)]]),
  });
  gauge({
    name: 'flowstate_rotation_rehearsal_age_seconds',
    help: 'Since the last rehearsal of a rotation; no sample until there was one',
    samples: ({ now, last }) => (last === null ? [] : [[{}, (now.getTime() - last.at.getTime()) / 1000]]),
  });
  gauge({
    name: 'flowstate_rotation_rehearsal_overdue',
    help: '1 while a scheduled rehearsal of a rotation is more than an hour late',
    samples({ now, last }) {
      const due = dueAfter(last?.at);
      return [[{}, Number(due !== null && now.getTime() > due.getTime() + graceMs)]];
    },
  });

  function dueAfter(last: Date | undefined): Date | null {
    if (cron === null) return null;
    const createdAt = last ?? startedAt;
    const recurrence: Recurrence = { cron, everyMs: null, timezone: 'UTC', createdAt, startAt: null, endAt: null };
    return nextTime(recurrence, createdAt);
  }

  return async function rehearse(): Promise<void> {
    const { now, last } = await readLastRehearsal(sql);
    const due = dueAfter(last?.at);
    if (due === null || now < due) return;
    const { passed, checks } = await rehearseRotation({ sql, redis: { queues: redis }, by: null });
    const failed = checks.filter(({ ok }) => !ok);
    if (passed) log.info({ checks: checks.length }, 'rotation rehearsed: it would go through');
    else log.warn({ failed }, 'rotation rehearsed: it would NOT go through');
  };
}
