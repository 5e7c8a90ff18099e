import type { RunEvent, RunProgress } from '@flowstate/contracts';
import type { Redis } from 'ioredis';
import { isCluster, openRedis } from './open-redis.ts';

/** What travels on a run's channel: recorded events after their commit, or progress nobody records. */
export type RunNews = RunEvent[] | RunProgress;

const channelOf = (runId: string) => `flowstate:run:${runId}`;

/** Tells of a run; `news` makes `RunNews` as JSON, and is asked for only when somebody listens. */
export type PublishNews = (runId: string, news: () => string) => void;

/**
 * Tells whoever watches. What one event-loop turn brings of a run is one message. News that Redis cannot carry is
 * dropped: readers refill from Postgres.
 */
export function createRunPublisher(redis: Redis): PublishNews {
  let waiting = new Map<string, (() => string)[]>();

  async function send(): Promise<void> {
    const all = waiting;
    waiting = new Map();
    // Most runs have no watcher, and news are longer than names. Whoever subscribes after this reads Postgres after it,
    // and so after the commit. A server of a cluster knows its own subscribers only, and one may refuse to be asked.
    const watched = isCluster(redis) ? all : await watchedOf(all).catch(() => all);
    for (const [runId, news] of watched) {
      redis.publish(channelOf(runId), `[${news.map((each) => each()).join(',')}]`).catch(() => {});
    }
  }

  async function watchedOf<T>(news: Map<string, T>): Promise<[string, T][]> {
    const counts = (await redis.pubsub('NUMSUB', ...[...news.keys()].map(channelOf))) as (string | number)[];
    // Channel and number in turn, in the order asked for.
    return [...news].filter((_, index) => counts[2 * index + 1] !== 0);
  }

  return (runId, news) => {
    const own = waiting.get(runId);
    if (own) own.push(news);
    else waiting.set(runId, [news]);
    if (waiting.size === 1 && !own) setImmediate(() => void send().catch(() => {}));
  };
}

export type RunSubscriber = {
  /** Hears a run's news until the returned function is called. Resolves once Redis confirmed, or when it is away. */
  subscribe(runId: string, listener: (news: RunNews) => void): Promise<() => void>;
  close(): void;
};

/** One Redis connection for all watchers of this process. */
export function createRunSubscriber(redisUrl: string, onError: (error: Error) => void): RunSubscriber {
  const redis = openRedis(redisUrl, { lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  redis.on('error', onError);
  redis.connect().catch(() => {}); // reported by the error event, retried by the client
  const listeners = new Map<string, Set<(news: RunNews) => void>>();
  redis.on('message', (channel: string, message: string) => {
    const own = listeners.get(channel);
    if (own === undefined) return;
    for (const news of JSON.parse(message) as RunNews[]) for (const listener of own) listener(news);
  });
  // Channels asked for while Redis was away; the client renews only those it had confirmed.
  redis.on('ready', () => {
    if (listeners.size > 0) redis.subscribe(...listeners.keys()).catch(() => {});
  });

  return {
    async subscribe(runId, listener) {
      const channel = channelOf(runId);
      let own = listeners.get(channel);
      if (own === undefined) listeners.set(channel, (own = new Set()));
      own.add(listener);
      await redis.subscribe(channel).catch(() => {});
      return () => {
        own.delete(listener);
        if (own.size > 0 || listeners.get(channel) !== own) return;
        listeners.delete(channel);
        redis.unsubscribe(channel).catch(() => {});
      };
    },
    close: () => redis.disconnect(),
  };
}
