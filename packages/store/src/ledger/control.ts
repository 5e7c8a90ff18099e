import type { RunError, RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { endUnowned, type Ended } from './end-unowned.ts';
import { lockRetries } from './endings.ts';

/** A person gives a parked run up: it ends as failed. Nothing ends unless it is parked. */
export async function abandonRun(db: Db, runId: string, by: string): Promise<Ended> {
  const error: RunError = { code: 'abandoned', message: `Given up while parked, by ${by}` };
  return endUnowned(db, [runId], { state: 'failed', error, where: db`state = 'parked'` });
}

type LastEnd = { id: string; attempt: number; chunk: number; last_seq: number; events: string };

/**
 * Starts the next attempt of those of `ids` whose last attempt failed: everything they finished stays finished, the
 * failed step runs again. They stand in the ledger's line once the caller's transaction is committed. Returns their ids.
 */
export async function retryRuns(tx: Db, ids: string[], by: string): Promise<string[]> {
  // A statement of its own, before the one that counts what they were told: see `tellRetried`.
  await lockRetries(tx, ids);
  const lasts = await tx<LastEnd[]>`
    SELECT e.id, e.attempt, e.chunk, e.last_seq, e.events FROM unnest(${ids.toSorted()}::uuid[]) AS i(id)
    CROSS JOIN LATERAL (SELECT * FROM run_ends e WHERE e.id = i.id ORDER BY e.attempt DESC LIMIT 1) e
    WHERE e.state = 'failed'`;
  if (lasts.length === 0) return [];
  const at = new Date().toISOString();
  const journals = lasts.map(({ last_seq: lastSeq, attempt, events }) => {
    const retried: RunEvent = { seq: lastSeq + 1, type: 'run.retried', at, data: { attempt: attempt + 1, by } };
    return JSON.stringify([...(JSON.parse(events) as RunEvent[]), retried]);
  });
  const rows = await tx<{ run_id: string }[]>`
    WITH last AS (
      SELECT * FROM unnest(
        ${lasts.map((last) => last.id)}::uuid[], ${lasts.map((last) => last.attempt)}::int[],
        ${lasts.map((last) => last.chunk)}::int[], ${lasts.map((last) => last.last_seq)}::int[], ${journals}::text[]
      ) AS t(id, attempt, chunk, last_seq, events)
    ),
    live AS (
      INSERT INTO run_live (id, queue, priority, workflow_id, principal_id, parent_id, concurrency_key, capped, webhook,
                            schedule_id, ready_at, due_at, attempt, chunk, seq_base, dispatch, inbox)
      SELECT r.id, w.queue, r.priority, r.workflow_id, r.principal_id, r.parent_id, r.concurrency_key,
             true, -- until the feeder, who knows the caps of now, hands it over
             r.webhook_url IS NOT NULL, r.schedule_id, now(), now(), last.attempt + 1, last.chunk + 1, last.last_seq,
             -- Job ids of earlier attempts are used up; dispatch counts within an attempt.
             last.attempt * 1000000,
             -- What its earlier attempts were told and did not use is still there.
             (SELECT count(*) FROM run_inbox i WHERE i.run_id = r.id)
      FROM last JOIN runs r ON r.id = last.id JOIN workflows w ON w.id = r.workflow_id
      ORDER BY r.id
      -- Retention locks what it deletes, and then looks whether it lives.
      FOR KEY SHARE OF r
      ON CONFLICT (id) DO NOTHING
      RETURNING id, chunk
    )
    INSERT INTO run_journal (run_id, chunk, events)
    SELECT live.id, live.chunk, last.events FROM live JOIN last ON last.id = live.id RETURNING run_id`;
  return rows.map((row) => row.run_id);
}
