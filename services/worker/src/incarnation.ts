import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { beat, createSql, endWorker, lockIncarnation, registerWorker, type Served, type Sql } from '@flowstate/store';
import { createLedgerClock } from './ledger-clock.ts';

const beatEveryMs = 400;
/**
 * Milliseconds without confirmation after which nothing new is begun. Others take our runs when our session is gone and
 * nothing was heard of us for a second: we may have stood still, and the session may have ended meanwhile.
 */
const freshMs = 900;

export type Incarnation = {
  /** The number this process goes by now. */
  id(): number;
  /** Starts the heartbeat on behalf of whoever runs the runs. */
  keepAlive(runner: Held): void;
  /** Asks the ledger for news now, and not at the next beat. */
  hurry(): void;
  /** Postgres time in milliseconds, as of the last heartbeat and carried on. */
  now(): number;
  /** Undefined while the ledger confirmed it lately; else resolves after the next heartbeat's answer. */
  confirmed(): Promise<void> | undefined;
  /** Milliseconds since the ledger last confirmed that this worker is alive. */
  silentMs(): number;
  /** Stops beating; the ledger forgets this worker in order. */
  end(): Promise<void>;
};

type Held = {
  /** Runs this worker owns right now. */
  held(): string[];
  served(): Served;
  cancel(runId: string): void;
  /** A held run's inbox has had this many entries by now. */
  news(runId: string, inbox: number): void;
  /** A held run was this worker's no more when the ledger was asked (`performance.now()`). */
  lose(runId: string, askedAt: number): void;
  /** The ledger declared this worker dead: whatever it still runs belongs to others. */
  loseAll(): void;
};

type Options = {
  databaseUrl: string;
  sql: Sql;
  log: Logger;
  bundle: string;
  carries: number[];
  concurrency: number;
  /** Where this instance can be asked; undefined before it listens. */
  url: () => string | undefined;
};

/**
 * This process in the ledger: a number never used again, a database session that holds its liveness lock, and a
 * heartbeat row. The lock's connection is its own and direct; when it breaks it is opened and locked again.
 */
export async function createIncarnation({ databaseUrl, sql, log, url, ...what }: Options): Promise<Incarnation> {
  const me = { host: hostname(), pid: process.pid, ...what };
  let id = await registerWorker(sql, me);
  const session = createSql(databaseUrl, { name: `flowstate-worker-${id}`, max: 1, keepAlive: true });
  await lockIncarnation(session, id);
  const stopped = new AbortController();
  let confirmedAt = performance.now();
  let obeyed = 0;
  let pause = new AbortController();
  let beatEnd = Promise.withResolvers<void>();
  const clock = createLedgerClock();
  clock.heard((await beat(sql, id, [])).now);

  async function beatForever(runner: Held): Promise<void> {
    while (!stopped.signal.aborted) {
      const askedAt = performance.now();
      pause = new AbortController();
      try {
        // Also on the session itself, so that a broken one is replaced and locked again.
        const [{ alive, cancelled, inboxes, lost, epoch, now }] = await Promise.all([
          beat(sql, id, runner.held(), { obeyed, url: url(), served: runner.served() }),
          lockIncarnation(session, id),
        ]);
        clock.heard(now);
        for (const { runId, inbox } of inboxes) runner.news(runId, inbox);
        for (const runId of cancelled) runner.cancel(runId);
        for (const runId of lost) runner.lose(runId, askedAt);
        if (!alive && !stopped.signal.aborted) {
          log.error(
            { incarnation: id },
            'declared dead by the ledger: giving up all runs, coming back under a new number',
          );
          runner.loseAll();
          id = await registerWorker(sql, me);
        }
        // Counted from when it was asked: the answer may have waited here while we stood still.
        confirmedAt = askedAt;
        beatEnd.resolve();
        beatEnd = Promise.withResolvers();
        // Somebody may be waiting to hear that what was taken from here has stopped.
        if (alive && epoch > obeyed) {
          obeyed = epoch;
          continue;
        }
      } catch (err) {
        log.warn({ err }, 'heartbeat failed');
      }
      const signal = AbortSignal.any([stopped.signal, pause.signal]);
      await wait(beatEveryMs, undefined, { signal }).catch(() => {});
    }
  }
  let beating: Promise<void> | undefined;

  return {
    id: () => id,
    keepAlive(runner) {
      beating ??= beatForever(runner);
    },
    hurry: () => pause.abort(),
    now: () => clock.now(),
    confirmed: () => (performance.now() - confirmedAt < freshMs ? undefined : beatEnd.promise),
    silentMs: () => performance.now() - confirmedAt,
    async end() {
      stopped.abort();
      await beating;
      await endWorker(sql, id);
      await session.end({ timeout: 1 });
    },
  };
}
