import { liveStates, lowestId, type BulkProgress, type Principal, type RunState } from '@flowstate/contracts';
import {
  countSelectedRuns,
  momentOf,
  selectRuns,
  statesOf,
  type BulkAction,
  type RunSelection,
  type Sql,
} from '@flowstate/store';
import { retriesAllRuns, seesAllRuns, type RunService } from './run-service.ts';

const batchSize = 200;

type Options = {
  sql: Sql;
  runs: Pick<RunService, 'change'>;
  action: BulkAction;
  filter: Omit<RunSelection, 'principalId' | 'until'>;
  principal: Principal;
  dryRun: boolean;
  /** Ends it after the batch under way. */
  signal: AbortSignal;
};

/**
 * Cancels or retries whatever the filter matches and the principal may see, in batches, of what there was when it
 * began. One progress report a batch, totals so far in each; failures are told once.
 */
export async function* changeRuns(options: Options): AsyncGenerator<BulkProgress> {
  const { sql, runs, action, principal, dryRun, signal } = options;
  const filter = { ...options.filter, ids: options.filter.ids?.map((id) => id.toLowerCase()) };
  const changesAll = action === 'retry' ? retriesAllRuns : seesAllRuns;
  const principalId = changesAll(principal) ? undefined : principal.id;
  const selection: RunSelection = { ...filter, principalId, until: await momentOf(sql) };
  const refused = filter.ids === undefined ? [] : await refusals(sql, action, filter.ids, principalId);
  if (dryRun) {
    yield { matched: await countSelectedRuns(sql, action, selection), changed: 0, failed: refused, done: true };
    return;
  }

  let [matched, changed] = [0, 0];
  for (let after = lowestId; !signal.aborted;) {
    const ids = await selectRuns(sql, action, selection, { after, limit: batchSize });
    const done = ids.length < batchSize;
    const failed = refused.splice(0); // told once
    if (ids.length > 0) {
      const changedIds = new Set(await runs.change(action, ids, principal));
      const left = ids.filter((id) => !changedIds.has(id));
      // A parent that was cancelled a moment before takes its children with it: what is cancelled now is done.
      const states = await statesOf(sql, left, principalId);
      const others = left.filter((id) => action === 'retry' || states.get(id) !== 'cancelled');
      failed.push(...others.map((id) => refusal(action, id, states.get(id))));
      matched += ids.length;
      changed += ids.length - others.length;
    }
    yield { matched, changed, failed, done };
    if (done) return;
    after = ids.at(-1) ?? after;
  }
}

/** Runs named by id that are not there for the principal, or that the action cannot change. */
async function refusals(sql: Sql, action: BulkAction, ids: string[], principalId: string | undefined) {
  const states = await statesOf(sql, ids, principalId);
  return [...new Set(ids)]
    .filter((id) => !changeable[action].has(states.get(id)))
    .map((id) => refusal(action, id, states.get(id)));
}

const changeable: Record<BulkAction, Set<RunState | undefined>> = {
  cancel: new Set(liveStates),
  retry: new Set(['failed']),
};

function refusal(action: BulkAction, id: string, state: RunState | undefined): BulkProgress['failed'][number] {
  if (state === undefined) return { id, code: 'not_found', message: `There is no run ${id}` };
  const message =
    action === 'cancel' ? `The run is already ${state}` : `Only a failed run can be retried, this one is ${state}`;
  return { id, code: 'conflict', message };
}
