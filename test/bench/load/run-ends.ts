import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';

export type RunEnds = {
  /** How many jobs have completed since the start. */
  count(): number;
  /** Reads at once what is there, or gathers for `gatherMs` first: under load, one read for many. */
  gather(gatherMs: number): void;
  close(): void;
};

type Options = {
  redisUrl: string;
  /** Key of the queue's event stream. */
  events: string;
  onEnd: (jobId: string) => void;
  onFailure: (error: Error) => void;
};

/**
 * Hears of finished runs by the event stream that BullMQ keeps of every queue. It is there in all contenders, costs
 * none of them anything, and a job completes only when its processor has done all it owes the run. (Announcing ends
 * by Redis or LISTEN instead would put work on those who do not do it by themselves, and polling on the server.)
 */
export async function followRunEnds({ redisUrl, events, onEnd, onFailure }: Options): Promise<RunEnds> {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  let ended = 0;
  const closed = new AbortController();
  let gatherMs = 0;
  const [latest] = await redis.xrevrange(events, '+', '-', 'COUNT', 1);
  let last = latest?.[0] ?? '0-0';

  async function follow(): Promise<void> {
    while (!closed.signal.aborted) {
      const reply = await redis.xread('COUNT', 5000, 'BLOCK', 1000, 'STREAMS', events, last);
      for (const [id, fields] of reply?.[0]?.[1] ?? []) {
        last = id;
        read(fields);
      }
      if (gatherMs > 0) await wait(gatherMs);
    }
  }

  function read(fields: string[]): void {
    const of = (name: string) => {
      for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
      return undefined;
    };
    const event = of('event');
    if (event === 'failed') onFailure(new Error(`run ${of('jobId')} failed: ${of('failedReason')}`));
    if (event !== 'completed') return;
    ended += 1;
    onEnd(of('jobId') ?? '');
  }

  follow().catch((error: unknown) => {
    if (!closed.signal.aborted) onFailure(error as Error);
  });
  return {
    count: () => ended,
    gather: (ms) => void (gatherMs = ms),
    close() {
      closed.abort();
      redis.disconnect();
    },
  };
}
