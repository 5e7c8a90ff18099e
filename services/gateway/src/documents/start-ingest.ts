import { FlowstateError, type Principal } from '@flowstate/contracts';
import { endAwaitingRun, type StoredRun, type UpsertedDocument } from '@flowstate/store';
import type { Deps } from '../deps.ts';

/** Documents of one run at most; more become further runs, which other workers can take. */
export const ingestRunSize = 1_000;

/**
 * Starts the runs that compute what embeddings are still missing; none when none is. The documents are stored by now:
 * should this fail, sending them again starts what is left, and in a minute or so the controller does.
 */
export async function startIngest(
  { sql, runs }: Pick<Deps, 'sql' | 'runs'>,
  principal: Principal,
  documents: readonly UpsertedDocument[],
): Promise<StoredRun[]> {
  const ids = [...new Set(documents.filter((document) => !document.embedded).map((document) => document.id))];
  const started: StoredRun[] = [];
  for (let i = 0; i < ids.length; i += ingestRunSize) {
    const documentIds = ids.slice(i, i + ingestRunSize);
    const input = { documentIds };
    try {
      started.push((await runs.start({ workflow: 'document-ingest', input, principal })).run);
    } catch (cause) {
      if (!(cause instanceof FlowstateError) || cause.code !== 'not_found') throw cause;
      const message =
        'The documents are stored, but no worker has offered to embed them yet; they are embedded when one does';
      throw new FlowstateError('unavailable', message, { cause, retryAfter: 5 });
    }
    // What stays noted gets a second run, which finds nothing to do.
    await endAwaitingRun(sql, documentIds).catch(() => {});
  }
  return started;
}
