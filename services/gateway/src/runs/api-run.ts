import type { Principal, Run } from '@flowstate/contracts';
import type { StoredRun } from '@flowstate/store';

/**
 * A run as the API shows it to `viewer`: without what only the platform needs. Where in the code it failed is for
 * admins; everybody else reads the code, the message and the step.
 */
export function toApiRun(stored: StoredRun, viewer: Principal): Run {
  const { principalId: _principal, queue: _queue, dispatch: _dispatch, error, ...run } = stored;
  if (error === null || viewer.role === 'admin') return { ...run, error };
  const { stack: _stack, ...shown } = error;
  return { ...run, error: shown };
}
