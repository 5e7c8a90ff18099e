/** Keys of Postgres' advisory locks, all in one place: who shared another's would wait for it for good. */
export const advisoryLocks = {
  migrations: 7_310_240_001,
  /** 7_310_240_002 is the tests'. */
  leader: 7_310_240_003,
  feeding: 7_310_240_004,
  ledgerPartitions: 7_310_240_011,
  auditPartitions: 7_310_240_012,
} as const;

/** First keys of pairs, the second being what it is about. */
export const advisoryLockClasses = {
  /** Workers that live, by their incarnation: held for as long as their session is. */
  workers: 7310,
  /** Runs that are being retried, by a hash of their id. */
  retries: 7311,
} as const;
