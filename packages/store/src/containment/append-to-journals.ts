import type { RunEvent } from '@flowstate/contracts';
import type { Db } from '../client.ts';

/**
 * Adds one event to the journals of runs whose rows this transaction has locked, as their next chunk; the caller moves
 * `chunk`. A statement of its own, after the lock: it must see what the last owner wrote before that.
 */
export async function appendToJournals(
  tx: Db,
  ids: readonly string[],
  { type, data }: Pick<RunEvent, 'type' | 'data'>,
): Promise<void> {
  await tx`
    INSERT INTO run_journal (run_id, chunk, events)
    SELECT l.id, l.chunk + 1, json_build_array(json_build_object(
      -- Accepted and started have the first two numbers, whether or not they have happened.
      'seq', 1 + greatest(l.seq_base + 2, (
        SELECT max((e->>'seq')::int) FROM run_journal j, json_array_elements(j.events::json) e WHERE j.run_id = l.id
      )),
      'type', ${type}::text, 'at', ${new Date().toISOString()}::text, 'data', ${JSON.stringify(data)}::json
    ))::text
    FROM run_live l WHERE l.id = ANY(${ids}::uuid[])`;
}
