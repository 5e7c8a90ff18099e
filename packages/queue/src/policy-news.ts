import { policyChannel } from '@flowstate/contracts';
import { openRedis } from './open-redis.ts';

/**
 * Calls back at once when somebody says that access has changed. Only a hint: everybody also asks Postgres a few times a
 * second, whether or not Redis is there.
 */
export function hearPolicyNews(
  redisUrl: string,
  { onNews, onError }: { onNews: () => void; onError: (error: Error) => void },
): { close(): void } {
  const redis = openRedis(redisUrl, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  redis.on('error', onError);
  redis.on('ready', () => void redis.subscribe(policyChannel).catch(() => {}));
  redis.on('message', onNews);
  return { close: () => redis.disconnect() };
}
