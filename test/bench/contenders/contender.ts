import type { BenchProcess } from '../bench-process.ts';
import type { Cleanup } from '../cleanup.ts';
import type { BenchStores } from '../stores.ts';

/** Where the load generator sends runs, and where it hears of their ends. */
export type Target = {
  url: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  redisUrl: string;
  /** Key of BullMQ's event stream. */
  events: string;
};

export type Stage = { stores: BenchStores; cleanup: Cleanup; concurrency: number; profileDir?: string | undefined };

export type Running = {
  target: Target;
  processes: BenchProcess[];
  /** Its own database. */
  databaseUrl: string;
  /** Throws when not all accepted runs are finished by its own records. */
  checkFinished(accepted: number): Promise<void>;
};

/** A system that takes the four-step run over HTTP, does it in a worker and is done when BullMQ's job is. */
export type Contender = { name: string; title: string; start(stage: Stage): Promise<Running> };
