import type { Principal, Run } from '@flowstate/contracts';
import { publicRun, type StoredRun } from '@flowstate/store';

/** A run as the API shows it to `viewer`: where in the code it failed is for admins only. */
export function toApiRun(stored: StoredRun, viewer: Principal): Run {
  const run = publicRun(stored);
  return viewer.role === 'admin' ? { ...run, error: stored.error } : run;
}
