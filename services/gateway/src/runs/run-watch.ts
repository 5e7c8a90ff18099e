import { isTerminal, type RunEvent, type RunState } from '@flowstate/contracts';
import type { RunNews, RunSubscriber } from '@flowstate/queue';
import { readEvents, readRun, type Sql, type StoredRun } from '@flowstate/store';

/** Postgres is asked this often all the same: news may be lost while Redis is away. */
const pollMs = 1_000;

/** Resolves with the run once it is terminal, or after `seconds` with whatever it is by then. */
export async function waitForEnd(
  sql: Sql,
  subscriber: RunSubscriber,
  runId: string,
  seconds: number,
  signal: AbortSignal,
): Promise<StoredRun | null> {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const unsubscribe = await subscriber.subscribe(runId, (news) => {
    if (isEnd(news)) end();
  });
  const limit = setTimeout(end, seconds * 1000);
  const poll = setInterval(() => {
    readRun(sql, runId).then(
      (run) => run && isTerminal(run.state) && end(),
      () => {},
    );
  }, pollMs);
  signal.addEventListener('abort', () => end(), { once: true });
  try {
    const now = await readRun(sql, runId);
    if (now === null || isTerminal(now.state)) return now;
    await over;
    return await readRun(sql, runId);
  } finally {
    clearTimeout(limit);
    clearInterval(poll);
    unsubscribe();
  }
}

export function isEnd(news: RunNews): boolean {
  return Array.isArray(news) && news.some((event) => isTerminalEvent(event));
}

export function isTerminalEvent(event: Pick<RunEvent, 'type'>): boolean {
  return event.type.startsWith('run.') && isTerminal(event.type.slice('run.'.length) as RunState);
}

/**
 * A run's events after `lastSeq`, then live ones as they are committed, until its terminal event: subscribe first,
 * read Postgres, drop what was seen, refill when numbers are missing. Progress passes through without a number.
 */
export async function* watchEvents(
  sql: Sql,
  subscriber: RunSubscriber,
  runId: string,
  lastSeq: number,
  signal: AbortSignal,
): AsyncGenerator<RunEvent | Exclude<RunNews, RunEvent[]>> {
  const inbox: RunNews[] = [];
  let wake = Promise.withResolvers<void>();
  const unsubscribe = await subscriber.subscribe(runId, (news) => {
    // A slow reader keeps at most this much; what is dropped is read from Postgres.
    if (inbox.length < 1_000) inbox.push(news);
    wake.resolve();
  });
  const poll = setInterval(() => wake.resolve(), pollMs);
  signal.addEventListener('abort', () => wake.resolve(), { once: true });
  let seen = lastSeq;
  try {
    let refill = true;
    while (!signal.aborted) {
      if (refill) {
        const stored = await readEvents(sql, runId);
        // Nothing was sent yet: an id from beyond the end would hide all that comes.
        if (seen === lastSeq) seen = Math.min(seen, stored.at(-1)?.seq ?? 0);
        for (const event of stored.filter(({ seq }) => seq > seen)) {
          seen = event.seq;
          yield event;
        }
        const last = stored.at(-1);
        // A retried run's earlier end is not the end: only a terminal event with nothing after it is.
        if (last === undefined || (isTerminalEvent(last) && last.seq <= seen)) return;
        refill = false;
      }
      if (inbox.length === 0) {
        await wake.promise;
        wake = Promise.withResolvers<void>();
        refill = inbox.length === 0; // woken by the clock: look whether something was missed
        continue;
      }
      const news = inbox.shift() as RunNews;
      if (!Array.isArray(news)) {
        yield news;
        continue;
      }
      for (const event of news) {
        if (event.seq <= seen) continue;
        if (event.seq > seen + 1) {
          refill = true;
          break;
        }
        seen = event.seq;
        yield event;
        if (isTerminalEvent(event)) return;
      }
    }
  } finally {
    clearInterval(poll);
    unsubscribe();
  }
}
