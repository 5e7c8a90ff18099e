import { mastersOf } from '@flowstate/queue';
import type { Redis } from 'ioredis';

/** What a Redis tells of its memory (bytes; `max` 0: no limit) and, since it started, of its keys. */
export type RedisFigures = { used: number; max: number; evicted: number; hits: number; misses: number };

/** Of all servers of a cluster together. Throws while one is away. */
export async function readRedisFigures(redis: Redis): Promise<RedisFigures> {
  const each = await Promise.all(mastersOf(redis).map(readServer));
  const sum = (name: keyof RedisFigures) => each.reduce((total, figures) => total + figures[name], 0);
  return { used: sum('used'), max: sum('max'), evicted: sum('evicted'), hits: sum('hits'), misses: sum('misses') };
}

async function readServer(redis: Redis): Promise<RedisFigures> {
  const [memory, stats] = await Promise.all([redis.info('memory'), redis.info('stats')]);
  const number = (text: string, name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    used: number(memory, 'used_memory'),
    max: number(memory, 'maxmemory'),
    evicted: number(stats, 'evicted_keys'),
    hits: number(stats, 'keyspace_hits'),
    misses: number(stats, 'keyspace_misses'),
  };
}
