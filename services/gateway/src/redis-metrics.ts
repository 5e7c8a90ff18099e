import { mastersOf } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import type { Redis } from 'ioredis';

type Figures = { used: number; max: number; evicted: number; hits: number; misses: number };

/** Memory and evictions of each Redis, as it tells them at a scrape; without samples while it is away. */
export function measureRedis(registry: Registry, instances: Record<string, Redis>, log: Logger): void {
  const registers = [registry];
  const labelNames = ['instance'] as const;
  const reading = new Map<string, Promise<Figures>>();

  /** One question for all the metrics that are collected at once. */
  function figuresOf(instance: string, redis: Redis): Promise<Figures> {
    const asked = reading.get(instance);
    if (asked !== undefined) return asked;
    const read = readFigures(redis).finally(() => reading.delete(instance));
    reading.set(instance, read);
    return read;
  }

  async function eachFigure(set: (labels: { instance: string }, figures: Figures) => void): Promise<void> {
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

/** Of all servers of a cluster together. */
async function readFigures(redis: Redis): Promise<Figures> {
  const each = await Promise.all(mastersOf(redis).map(readServer));
  const sum = (name: keyof Figures) => each.reduce((total, figures) => total + figures[name], 0);
  return { used: sum('used'), max: sum('max'), evicted: sum('evicted'), hits: sum('hits'), misses: sum('misses') };
}

async function readServer(redis: Redis): Promise<Figures> {
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
