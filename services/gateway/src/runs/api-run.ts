import type { Run } from '@flowstate/contracts';
import type { StoredRun } from '@flowstate/store';

/** A run as the API shows it: without what only the platform needs. */
export function toApiRun({ principalId: _principal, queue: _queue, dispatch: _dispatch, ...run }: StoredRun): Run {
  return run;
}
