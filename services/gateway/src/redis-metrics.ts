import type { Logger } from '@flowstate/runtime';
import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import type { Redis } from 'ioredis';
import { readRedisFigures, type RedisFigures } from './redis-figures.ts';

/** Memory and evictions of each Redis, as it tells them at a scrape; without samples while it is away. */
export function measureRedis(registry: Registry, instances: Record<string, Redis>, log: Logger): void {
  const registers = [registry];
  const labelNames = ['instance'] as const;
  const reading = new Map<string, Promise<RedisFigures>>();

  /** One question for all the metrics that are collected at once. */
  function figuresOf(instance: string, redis: Redis): Promise<RedisFigures> {
    const asked = reading.get(instance);
    if (asked !== undefined) return asked;
    const read = readRedisFigures(redis).finally(() => reading.delete(instance));
    reading.set(instance, read);
    return read;
  }

  async function eachFigure(set: (labels: { instance: string }, figures: RedisFigures) => void): Promise<void> {
    await Promise.all(
      Object.entries(instances).map(async ([instance, redis]) => {
        try {
          set({ instance }, await figuresOf(instance, redis));
        } catch (error) {
          log.warn({ err: (error as Error).message, instance }, 'Redis does not tell its memory');
        }
      }),
    );
  }

  new Gauge({
    name: 'redis_memory_used_bytes',
    help: 'Memory in use by each Redis',
    labelNames,
    registers,
    async collect() {
      this.reset();
      await eachFigure((labels, { used }) => this.set(labels, used));
    },
  });
  new Gauge({
    name: 'redis_memory_max_bytes',
    help: 'Memory each Redis may use; 0: no limit of its own',
    labelNames,
    registers,
    async collect() {
      this.reset();
      await eachFigure((labels, { max }) => this.set(labels, max));
    },
  });
  new Counter({
    name: 'redis_evicted_keys_total',
    help: 'Keys each Redis threw out for want of memory, since it started',
    labelNames,
    registers,
    async collect() {
      this.reset();
      await eachFigure((labels, { evicted }) => this.inc(labels, evicted));
    },
  });
  new Counter({
    name: 'redis_keyspace_lookups_total',
    help: 'Keys that were looked up in each Redis since it started, by whether they were there',
    labelNames: ['instance', 'result'],
    registers,
    async collect() {
      this.reset();
      await eachFigure(({ instance }, { hits, misses }) => {
        this.inc({ instance, result: 'hit' }, hits);
        this.inc({ instance, result: 'miss' }, misses);
      });
    },
  });
}
