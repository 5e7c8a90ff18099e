import { readRunAuthority, type RunAuthority, type Sql } from '@flowstate/store';
import { createFreshCache } from './fresh-cache.ts';
import type { PolicyWatch } from './policy-watch.ts';

export type RunAuthorities = {
  /** For whom the run acts now; null when it is not live. Never from memory: a token is issued by it. */
  read(runId: string): Promise<RunAuthority | null>;
  /** The same, at most a second old: asked on each call of a run's agents. */
  recall(runId: string): Promise<RunAuthority | null>;
};

export function createRunAuthorities({ sql, policy }: { sql: Sql; policy: PolicyWatch }): RunAuthorities {
  const read = (runId: string) => readRunAuthority(sql, runId);
  return { read, recall: createFreshCache(read, { maxAgeMs: 1_000, version: policy.epoch }) };
}
