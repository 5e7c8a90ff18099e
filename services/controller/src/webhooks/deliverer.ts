import { setTimeout as wait } from 'node:timers/promises';
import { webhookId } from '@flowstate/contracts';
import type { Logger, WebhookAnswer, WebhookSender } from '@flowstate/runtime';
import {
  claimDeliveries,
  isDatabaseOutage,
  nameWebhookHosts,
  readEndedRun,
  recordTry,
  type ClaimedDelivery,
  type Sql,
  type TryResult,
} from '@flowstate/store';
import { webhookPayload } from './payload.ts';
import { dayOfRetries, retryDelay, type RetrySchedule } from './retry-schedule.ts';

export type TryOutcome = 'delivered' | 'failed' | 'given_up';

export type WebhookLimits = {
  /** Deliveries under way at most. */
  concurrency: number;
  /** Of these to one host: a slow one holds up nobody else. */
  perHost: number;
  /** Longer than a try takes: only a lost controller lets it run out. */
  leaseMs: number;
};

type Options = {
  sql: Sql;
  sender: WebhookSender;
  log: Logger;
  onTry: (outcome: TryOutcome) => void;
  limits: WebhookLimits;
  schedule?: RetrySchedule;
};

const newAtOnce = 1_000;
const lookAgainMs = 250;
const recordAgainMs = 500;
const runGone: WebhookAnswer = { status: null, error: 'The run is gone', retryAfterMs: null, gone: true, unsent: true };

/**
 * Tells the ends of runs. A try is claimed in the ledger before it is made and only when it can be made at once, so
 * that a controller's death leaves nothing but the requests under way in doubt: they are made again, under their ids.
 */
export function createWebhookDeliverer({ sql, sender, log, onTry, limits, schedule = dayOfRetries }: Options) {
  const { concurrency, perHost, leaseMs } = limits;
  const underWay = new Map<ClaimedDelivery, Promise<void>>();

  /** Claims what is due and sees to it; answers true while something is under way. */
  async function deliver(): Promise<boolean> {
    const limit = concurrency - underWay.size;
    if (limit > 0) {
      await nameWebhookHosts(sql, newAtOnce);
      const claimed = await claimDeliveries(sql, { busy: [...underWay.keys()], perHost, limit, leaseMs });
      for (const delivery of claimed) {
        underWay.set(
          delivery,
          tryOnce(delivery)
            .catch((err: unknown) => log.error({ err, runId: delivery.runId }, 'result of a webhook was not recorded'))
            .finally(() => underWay.delete(delivery)),
        );
      }
    }
    if (underWay.size === 0) return false;
    const waited = new AbortController();
    await Promise.race([...underWay.values(), wait(lookAgainMs, undefined, { signal: waited.signal }).catch(() => {})]);
    waited.abort();
    return true;
  }

  async function tryOnce(delivery: ClaimedDelivery): Promise<void> {
    const begun = performance.now();
    const answer = await send(delivery);
    const result: TryResult = {
      status: answer.status,
      durationMs: performance.now() - begun,
      error: answer.error,
      next: whatNext(delivery, answer),
    };
    await throughOutages(() => recordTry(sql, delivery, result));
    onTry(typeof result.next === 'string' ? result.next : 'failed');
    if (answer.error === null) return;
    const { runId, attempt, host } = delivery;
    const failure = { runId, attempt, host, status: answer.status, reason: answer.error };
    // An endpoint that is away for a day is news once, not at every try.
    if (result.next === 'given_up') log.warn(failure, 'webhook given up');
    else log.info(failure, 'webhook failed, to be tried again');
  }

  async function send({ runId, attempt, url }: ClaimedDelivery): Promise<WebhookAnswer> {
    const run = await throughOutages(() => readEndedRun(sql, runId, attempt));
    if (url === null || run === null) return runGone;
    return sender.send(url, { id: webhookId(runId, attempt), body: JSON.stringify(webhookPayload(run)) });
  }

  function whatNext(
    { failures, ageMs }: ClaimedDelivery,
    { error, gone, retryAfterMs }: WebhookAnswer,
  ): TryResult['next'] {
    if (error === null) return 'delivered';
    const retryInMs = gone ? null : retryDelay(schedule, { failures: failures + 1, ageMs, retryAfterMs });
    return retryInMs === null ? 'given_up' : { retryInMs };
  }

  return {
    deliver,
    /** Resolves when nothing is under way any more. */
    settled: async (): Promise<void> => void (await Promise.all(underWay.values())),
  };
}

/** What was sent must be recorded, or it is sent again: Postgres being away is waited out. */
async function throughOutages<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isDatabaseOutage(error)) throw error;
      await wait(recordAgainMs);
    }
  }
}
