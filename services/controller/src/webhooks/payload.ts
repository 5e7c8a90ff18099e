import type { WebhookPayload } from '@flowstate/contracts';
import { publicRun, type StoredRun } from '@flowstate/store';

/** The body that tells a run's end: the run as its owner reads it in the API. */
export function webhookPayload(run: StoredRun): WebhookPayload {
  return {
    type: `run.${run.state}` as WebhookPayload['type'],
    timestamp: run.finishedAt ?? run.createdAt,
    data: publicRun(run),
  };
}
