import type { Inbox, InboxEntry, QueueName, Role, RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { among } from './among.ts';
import { inboxEntries } from './inbox.ts';

/** A run as its new owner gets it: everything needed to go on from where the journal ends. */
export type ClaimedRun = {
  id: string;
  workflow: string;
  version: string;
  queue: QueueName;
  /** JSON text. */
  input: string;
  principalId: string;
  role: Role;
  parentId: string | null;
  /** Incarnation that owns it now: the fence of everything written for it. */
  owner: number;
  /** Somebody wants it cancelled; its last owner died before it could. */
  cancelled: boolean;
  attempt: number;
  /** Last journal chunk; the next write must be one higher. */
  chunk: number;
  /** Events before this attempt. */
  seqBase: number;
  crashes: number;
  trace: string | null;
  createdAt: Date;
  readyAt: Date;
  startedAt: Date;
  /** Another owner had begun it. */
  resumed: boolean;
  /** Access has changed since it was accepted: whether it may (still) run is to be asked before it does. */
  recheck: boolean;
  /** Recorded events of every attempt, oldest first. */
  events: RunEvent[];
  inbox: Inbox;
};

type Row = Omit<ClaimedRun, 'events' | 'inbox'> & { signalled: boolean };

/**
 * Makes `incarnation` the owner of those of `ids` that are ready, nobody's, and of a version it `carries`. The queue
 * delivers, this decides: a second delivery of a run finds it owned, and gets nothing.
 */
export async function claimRuns(db: Db, incarnation: number, carries: number[], ids: string[]): Promise<ClaimedRun[]> {
  const wanted = ids.toSorted();
  const rows = await db<Row[]>`
    WITH claimed AS (
      UPDATE run_live l SET owner = ${incarnation}, state = 'running', due_at = NULL,
        started_at = coalesce(l.started_at, clock_timestamp())
      WHERE ${among(db, 'l', wanted)} AND l.owner IS NULL AND l.state = 'queued'
        -- Declared dead, it would own runs that nobody takes from it again.
        AND EXISTS (SELECT FROM workers w WHERE w.id = ${incarnation} AND w.ended_at IS NULL)
        AND l.workflow_id = ANY(${carries}::int[])
        -- A stray job of a run that stands in the ledger's line again: caps are the feeder's.
        AND (l.due_at IS NULL OR (l.due_at <= now() AND NOT l.capped))
        -- Not if it was undone (undoClaims) while this waited for the row: this is read as it was before.
        AND l.dispatch = (SELECT s.dispatch FROM run_live s WHERE s.id = l.id)
      -- now() is when this statement's transaction began: an earlier start was another owner's.
      RETURNING l.*, l.started_at < now() AS resumed
    )
    ${claimedColumns(db)}, c.resumed FROM claimed c ${claimedJoins(db, wanted)}`;
  return withPast(db, incarnation, rows);
}

/** The runs of `ids` this incarnation already owns (given to it when they were accepted). */
export async function loadOwnedRuns(db: Db, incarnation: number, ids: string[]): Promise<ClaimedRun[]> {
  const rows = await db<Row[]>`
    ${claimedColumns(db)}, false AS resumed FROM run_live c ${claimedJoins(db, ids)}
    WHERE c.id = ANY(${ids}::uuid[]) AND c.owner = ${incarnation}`;
  return withPast(db, incarnation, rows);
}

function claimedColumns(db: Db) {
  return db`
    SELECT c.id, w.name AS workflow, w.version, c.queue, r.input, r.principal_id AS "principalId", r.role, c.parent_id AS "parentId", c.owner, c.cancel AS cancelled,
           c.attempt, c.chunk, c.seq_base AS "seqBase", c.crashes, r.trace, r.created_at AS "createdAt",
           c.ready_at AS "readyAt", c.started_at AS "startedAt",
           coalesce(r.epoch, 0) < p.epoch AS recheck, c.inbox > 0 AS signalled`;
}

function claimedJoins(db: Db, ids: string[]) {
  // Said of `r`, too: the partitions that cannot have them are not even prepared for.
  return db`JOIN runs r ON r.id = c.id AND ${among(db, 'r', ids)} JOIN workflows w ON w.id = r.workflow_id CROSS JOIN policy p`;
}

/**
 * Adds what was recorded and sent before. A statement of its own, because few runs have a past: to prepare for the
 * partitions of journal and inbox costs a claim as much as all the rest. A run that was taken away in between is left
 * out: without its past, what it did would be done again.
 */
async function withPast(db: Db, incarnation: number, rows: Row[]): Promise<ClaimedRun[]> {
  const old = rows.filter(hasPast).map(({ id }) => id);
  const pasts = new Map(old.length === 0 ? [] : (await readPasts(db, incarnation, old)).map((past) => [past.id, past]));
  return rows.flatMap((row) => {
    const past = pasts.get(row.id);
    if (past === undefined && hasPast(row)) return [];
    // The row itself: a copy of all its columns costs as much as reading them.
    return Object.assign(row, {
      events: (past?.journal ?? []).flatMap((events) => JSON.parse(events) as RunEvent[]),
      inbox: { seen: past?.seen ?? 0, entries: past?.entries ?? [] },
    });
  });
}

const hasPast = ({ chunk, signalled }: Row): boolean => chunk > 0 || signalled;

type Past = { id: string; journal: string[] | null; seen: number; entries: InboxEntry[] | null };

/** In one snapshot: entries that come later are not counted as seen. */
async function readPasts(db: Db, incarnation: number, ids: string[]): Promise<Past[]> {
  return db<Past[]>`
    SELECT l.id, l.inbox AS seen, ${inboxEntries(db)} AS entries,
           (SELECT array_agg(j.events ORDER BY j.chunk) FROM run_journal j WHERE j.run_id = l.id) AS journal
    FROM run_live l WHERE l.id = ANY(${ids}::uuid[]) AND l.owner = ${incarnation}`;
}
