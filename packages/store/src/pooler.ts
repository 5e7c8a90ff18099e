import { invalidInput } from '@flowstate/contracts';

/** What a session of the ledger asks of the planner. */
export const ledgerSettings = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  // By the order of the heap two statements would lock the same rows in different orders.
  enable_bitmapscan: 'off',
  plan_cache_mode: 'force_generic_plan',
  // What is forbidden above counts as very dear where there is nothing else, and would be compiled each time.
  jit: 'off',
};

/** Is this the address of PgBouncer in transaction mode? It says so by `pgbouncer=true`. */
export function isPooled(databaseUrl: string): boolean {
  return URL.canParse(databaseUrl) && new URL(databaseUrl).searchParams.get('pgbouncer') === 'true';
}

type Addresses = { DATABASE_URL: string; DATABASE_DIRECT_URL?: string | undefined };

/** Where sessions that mean something are held. Throws `invalid_input` when there is only a pooler to hold them at. */
export function directUrl({ DATABASE_URL, DATABASE_DIRECT_URL = DATABASE_URL }: Addresses): string {
  if (!isPooled(DATABASE_DIRECT_URL)) return DATABASE_DIRECT_URL;
  const message = 'must be the address of Postgres itself where DATABASE_URL is a pooler (pgbouncer=true)';
  throw invalidInput([{ field: 'DATABASE_DIRECT_URL', message }]);
}

/**
 * Where a pool connects at a pooler; null for Postgres itself. A pooler in transaction mode hands on no settings of a
 * session: it makes those of the ledger itself, for the database of that name with `_ledger` after it (`connect_query`).
 * Commits are then waited for, also where they need not be.
 */
export function pooledAddress(databaseUrl: string, { ledger }: { ledger: boolean }): string | null {
  if (!isPooled(databaseUrl)) return null;
  const url = new URL(databaseUrl);
  // The client would hand it on as a setting.
  url.searchParams.delete('pgbouncer');
  if (ledger) url.pathname += '_ledger';
  return url.href;
}
