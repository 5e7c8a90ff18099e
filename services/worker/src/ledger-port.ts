import type { Delivery } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import {
  claimRuns,
  createBatcher,
  finishRuns,
  handBackRun,
  isDatabaseOutage,
  parkRun,
  payloadRef,
  postponeRun,
  readInbox,
  readPayload,
  reclaimFromOwner,
  recordParked,
  storePayload,
  suspendRun,
  undoClaims,
  writeChunks,
  type Chunk,
  type ClaimedRun,
  type Db,
  type FinishAnswer,
  type Release,
  type ReleaseAnswer,
  type RunEnd,
  type Sql,
} from '@flowstate/store';
import type { ChunkSource, LedgerPort } from '@flowstate/workflow';
import { createSettlingWriter } from './settling-writes.ts';
import { createThroughOutages } from './through-outages.ts';

export type WorkerLedger = LedgerPort & {
  /** Makes this worker the run's owner; null when another is, or the run has ended. */
  claim(runId: string): Promise<ClaimedRun | null>;
  /** Gives an unfinished run back; null when it was not its owner any more. */
  handBack(run: { id: string; owner: number }): Promise<Delivery | null>;
  /** Takes a run from this worker that it could not go on with; null when it was not its owner, or a person has it now. */
  giveUp(run: { id: string; owner: number }): Promise<Delivery | null>;
};

type Options = {
  sql: Sql;
  /** For claims: a claim that Postgres forgets in a crash only fences its worker (`lazyCommit`). */
  claimSql: Sql;
  incarnation: () => number;
  /** Ids of the workflow versions this worker can run. */
  carries: number[];
  log: Logger;
  /** Postgres time in milliseconds. */
  now: () => number;
  confirmed: LedgerPort['confirmed'];
  /** Runs in hand. */
  held: () => readonly string[];
  /** Runs that an end of their child made ready. */
  deliver: (deliveries: Delivery[]) => void;
};

/** The ledger as this worker uses it: all runs' writes in common batches, outages of Postgres waited out. */
export function createWorkerLedger({
  sql,
  claimSql,
  incarnation,
  carries,
  log,
  now,
  confirmed,
  held,
  deliver,
}: Options): WorkerLedger {
  const throughOutages = createThroughOutages(log);
  const writeBatch = createSettlingWriter(sql, throughOutages);

  async function claim(ids: string[]): Promise<ClaimedRun[]> {
    const owner = incarnation();
    try {
      return await claimRuns(claimSql, owner, carries, ids);
    } catch (error) {
      // It may have been committed all the same: then we would own runs we know nothing of.
      const notOurs = ids.filter((id) => !held().includes(id));
      await throughOutages(() => undoClaims(sql, owner, notOurs));
      if (!isDatabaseOutage(error)) throw error;
      return [];
    }
  }

  const claims = createBatcher<string, ClaimedRun | null>({
    summary: 'UPDATE run_live',
    async flush(ids) {
      const claimed = new Map((await claim([...new Set(ids)])).map((run) => [run.id, run]));
      return ids.map((id) => {
        const run = claimed.get(id) ?? null;
        claimed.delete(id); // two deliveries in one batch: only one of them runs it
        return run;
      });
    },
  });

  // A source gives its events away once; a batch that is written again in parts must find them.
  const given = new WeakMap<ChunkSource, Chunk>();
  function take(source: ChunkSource): Chunk | null {
    const chunk = given.get(source) ?? source();
    if (chunk !== null) given.set(source, chunk);
    return chunk;
  }
  // A turn later: the steps of a short run mostly travel with its end.
  const chunks = createBatcher<ChunkSource, boolean>({
    afterTurn: true,
    summary: 'UPDATE run_live INSERT run_journal',
    async flush(sources) {
      const taken = sources.map(take);
      const written = await writeBatch({
        writes: taken.filter((chunk): chunk is Chunk => chunk !== null),
        write: writeChunks,
        isWritten: Boolean,
      });
      // A source that had nothing left to write is content.
      return taken.map((chunk) => (chunk === null ? true : (written.shift() ?? false)));
    },
  });

  async function finish(batch: RunEnd[]): Promise<FinishAnswer[]> {
    const woken: Delivery[] = [];
    const answers = await writeBatch({
      writes: batch,
      async write(db, ends) {
        const finished = await finishRuns(db, ends);
        woken.push(...finished.woken);
        return finished.answers;
      },
      isWritten: (answer) => answer === 'finished' || answer === 'expired',
    });
    if (woken.length > 0) deliver(woken);
    return answers;
  }

  /** Lets go of a run in one of its ways. */
  async function release<R extends Release>(
    released: R,
    letGo: (db: Db, released: R) => Promise<ReleaseAnswer>,
  ): Promise<ReleaseAnswer> {
    const [answer] = await writeBatch({
      writes: [released],
      write: async (db) => [await letGo(db, released)],
      isWritten: (each: ReleaseAnswer) => each === 'released',
    });
    return answer ?? 'lost';
  }
  const summary = 'DELETE run_live INSERT run_ends';
  const sizeOf = (end: RunEnd) => (end.output?.length ?? 0) + end.events.length;
  const ends = createBatcher<RunEnd, FinishAnswer>({ flush: finish, summary, sizeOf, lanes: 2 });
  // One at a time: two batches whose runs share parents could wait for each other's locks.
  const childEnds = createBatcher<RunEnd, FinishAnswer>({ flush: finish, summary, sizeOf, maxItems: 1, lanes: 2 });

  return {
    claim: (runId) => claims.add(runId),
    handBack: ({ id, owner }) => throughOutages(() => handBackRun(sql, owner, id)),
    giveUp: ({ id, owner }) =>
      throughOutages(() =>
        sql.begin(async (tx) => {
          const taken = await reclaimFromOwner(tx, owner, id);
          if (taken?.parked !== true) return taken?.delivery ?? null;
          await recordParked(tx, id, { reason: 'Its workers could not go on with it', step: '' });
          return null;
        }),
      ),
    confirmed,
    writeChunk: (source) => chunks.add(source),
    finish: ({ isChild, ...end }) => (isChild ? childEnds : ends).add(end),
    suspend: (waiting) => release(waiting, suspendRun),
    postpone: (failed) => release(failed, postponeRun),
    park: (parked) => release(parked, parkRun),
    async storePayload({ json, ...run }) {
      const ref = payloadRef(json);
      const kept = await throughOutages(() => storePayload(sql, { ...run, ...ref, json }));
      return kept ? ref : null;
    },
    async loadPayload(runId, ref) {
      const json = await throughOutages(() => readPayload(sql, runId, ref));
      if (json === null) throw new Error(`A recorded result of run ${runId} is gone: ${ref}`);
      return json;
    },
    readInbox: (runId) => throughOutages(() => readInbox(sql, runId)),
    now,
  };
}
