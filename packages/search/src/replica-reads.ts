import { hasCaughtUp, isDatabaseOutage, isOutdatedScope, type Collection, type Db, type Sql } from '@flowstate/store';

/** Where a search was read; `behind` and `away` say why the replica did not do. */
export type ReadFrom = 'replica' | 'behind' | 'away';

/** After an outage the replica is left alone for so long: few searches wait for a connection that does not come. */
const restMs = 5_000;

type Options = {
  primary: Sql;
  replica: Sql;
  onRead(from: ReadFrom): void;
};

export type Reads = <T>(collections: readonly Collection[], read: (db: Db) => Promise<T>) => Promise<T>;

/**
 * Searches read from a replica that may replay behind. What is searched, and its versions, was read from the primary;
 * the replica is asked only when it has these versions, on the connection that then reads: it never goes back, so that
 * an answer is as new as one from the primary, and access taken away is taken away. In every other case the primary
 * answers.
 */
export function createReplicaReads({ primary, replica, onRead }: Options): Reads {
  let restUntil = 0;

  /** Undefined: the replica is not there yet. */
  async function fromReplica<T>(
    collections: readonly Collection[],
    read: (db: Db) => Promise<T>,
  ): Promise<{ value: T } | undefined> {
    return await replica.begin('read only', async (tx) =>
      (await hasCaughtUp(tx, collections)) ? { value: await read(tx) } : undefined,
    );
  }

  return async (collections, read) => {
    if (performance.now() < restUntil) {
      onRead('away');
      return await read(primary);
    }
    try {
      const answer = await fromReplica(collections, read);
      onRead(answer === undefined ? 'behind' : 'replica');
      if (answer !== undefined) return answer.value;
    } catch (error) {
      if (!isTheReplicas(error)) throw error;
      if (isDatabaseOutage(error)) restUntil = performance.now() + restMs;
      onRead('away');
    }
    return await read(primary);
  };
}

/** 40001: replay had to take away what was being read. */
function isTheReplicas(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return isDatabaseOutage(error) || isOutdatedScope(error) || code === '40001';
}
