import type { Logger } from '@flowstate/runtime';
import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import type { Redis } from 'ioredis';

type Figures = { used: number; max: number; evicted: number };

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
}

async function readFigures(redis: Redis): Promise<Figures> {
  const [memory, stats] = await Promise.all([redis.info('memory'), redis.info('stats')]);
  const number = (text: string, name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    used: number(memory, 'used_memory'),
    max: number(memory, 'maxmemory'),
    evicted: number(stats, 'evicted_keys'),
  };
}
