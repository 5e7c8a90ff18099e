import type { Run } from '@flowstate/contracts';
import type { StoredRun } from './read.ts';

/** A run as its owner may see it: without what only the platform needs, and without where in the code it failed. */
export function publicRun(stored: StoredRun): Run {
  const { principalId: _principal, queue: _queue, dispatch: _dispatch, error, ...run } = stored;
  if (error === null) return { ...run, error };
  const { stack: _stack, ...shown } = error;
  return { ...run, error: shown };
}
