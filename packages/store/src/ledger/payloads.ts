import { createHash } from 'node:crypto';
import type { PayloadRef } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/** What a large result (JSON text) goes by: its content. */
export function payloadRef(json: string): PayloadRef {
  return { ref: createHash('sha256').update(json).digest('base64url'), bytes: Buffer.byteLength(json) };
}

/**
 * Keeps a large result for the journal to refer to; the same content of one run once. Like a chunk it takes the run's
 * row lock: false, and nothing kept, for who is not the run's owner.
 */
export async function storePayload(
  db: Db,
  { runId, owner, ref, bytes, json }: PayloadRef & { runId: string; owner: number; json: string },
): Promise<boolean> {
  const [row] = await db`
    WITH mine AS (SELECT id FROM run_live WHERE id = ${runId} AND owner = ${owner} FOR UPDATE),
    kept AS (
      INSERT INTO run_payloads (run_id, hash, bytes, data) SELECT id, ${ref}, ${bytes}, ${json} FROM mine
      ON CONFLICT (run_id, hash) DO NOTHING
    )
    SELECT id FROM mine`;
  return row !== undefined;
}

/** JSON text; null when the run has no such payload. */
export async function readPayload(db: Db, runId: string, ref: string): Promise<string | null> {
  const [row] = await db<{ data: string }[]>`
    SELECT data FROM run_payloads WHERE run_id = ${runId} AND hash = ${ref}`;
  return row?.data ?? null;
}
