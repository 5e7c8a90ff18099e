import { isTracing } from '@flowstate/tracing';
import postgres from 'postgres';
import { ledgerSettings, pooledAddress } from './pooler.ts';
import { tracedSql } from './traced-sql.ts';

export type Sql = postgres.Sql;
/** A pool, or the transaction handed to `sql.begin(tx => …)`: statements take it first so that a missed one shows. */
export type Db = postgres.Sql | postgres.TransactionSql;

type Options = {
  /** Connections at most (default 10). */
  max?: number;
  /** Shown in pg_stat_activity. */
  name: string;
  /** Queue-like tables analysed while empty get sequential scans; the ledger's pool forbids them. */
  ledger?: boolean;
  /** Commits are not waited for on disk: only for what a later, waited-for commit makes certain. */
  lazyCommit?: boolean;
  /** Never closed for idleness or age: the session itself means something. */
  keepAlive?: boolean;
};

/**
 * A Postgres pool. Nothing connects until the first statement. `bigint` and `numeric` columns come as numbers. An address
 * with `pgbouncer=true` is a pooler's: see `pooledAddress`.
 */
export function createSql(
  databaseUrl: string,
  { max = 10, name, ledger = false, lazyCommit = false, keepAlive = false }: Options,
): Sql {
  const pooled = pooledAddress(databaseUrl, { ledger });
  const sql: Sql = postgres(pooled ?? databaseUrl, {
    max,
    ...(keepAlive ? { max_lifetime: null } : { idle_timeout: 60, max_lifetime: 60 * 30 }),
    connect_timeout: 5,
    backoff: (attempt: number) => Math.min(0.1 * 2 ** attempt, 2),
    onnotice: () => {},
    types: {
      bigint: { to: 20, from: [20], parse: Number, serialize: String },
      numeric: { to: 1700, from: [1700], parse: Number, serialize: String },
    },
    connection: {
      application_name: name,
      ...(lazyCommit && pooled === null && { synchronous_commit: 'off' }),
      ...(ledger && pooled === null && ledgerSettings),
    },
  });
  return isTracing() ? tracedSql(sql) : sql;
}
