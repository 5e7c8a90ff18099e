import { setTimeout as wait } from 'node:timers/promises';
import { webhookId, type WebhookPayload } from '@flowstate/contracts';
import { startWebhookReceiver, verifyWebhook } from '@flowstate/test';
import type { Test } from 'tap';
import type { Findings } from './findings.ts';
import { isTerminal, type RunRecord, type SeenEvent } from './run-record.ts';

export type Webhooks = {
  /** Where the ends of that piece of work are to be told; `refusing`: the first call of it is refused. */
  urlFor(ticket: string, refusing: boolean): string;
  /** Waits until each end among `events` has arrived, then says what else did. */
  audit(run: RunRecord & { id: string }, events: SeenEvent[], signal: AbortSignal): Promise<void>;
  /** Calls that arrived, and how many of them told what had been told before. */
  counts(): { calls: number; repeated: number };
};

const lookAgainMs = 250;

/** The far end of webhooks: verifies what arrives when it arrives. */
export async function startWebhooks(
  t: Pick<Test, 'teardown'>,
  { secret, findings }: { secret: string; findings: Findings },
): Promise<Webhooks> {
  const receiver = await startWebhookReceiver(t);
  const told = new Map<string, Map<string, WebhookPayload>>();
  let calls = 0;
  const deliveries = new Set<string>();

  return {
    urlFor(ticket, refusing) {
      const path = `/${ticket}`;
      receiver.answer(path, (response, call, received) => {
        calls += 1;
        try {
          const payload = verifyWebhook(secret, received) as WebhookPayload;
          const id = String(received.headers['webhook-id']);
          deliveries.add(id);
          told.set(path, (told.get(path) ?? new Map<string, WebhookPayload>()).set(id, payload));
        } catch (error) {
          findings.add(`a webhook of ${ticket} is not signed as it should be: ${String(error)}`);
        }
        response.writeHead(refusing && call === 1 ? 503 : 204).end();
      });
      return receiver.url + path;
    },
    async audit(run, events, signal) {
      const path = `/${run.ticket}`;
      const ends = events.filter(isTerminal);
      const expected = new Map(ends.map(({ type, data }) => [webhookId(run.id, Number(data.attempt)), type]));
      const missing = () => [...expected.keys()].filter((id) => !told.get(path)?.has(id));
      while (missing().length > 0 && !signal.aborted) await wait(lookAgainMs);
      for (const id of missing()) findings.add(`its end ${id} was not told by webhook`, run.id);
      for (const [id, { type, data }] of told.get(path) ?? []) {
        const end = expected.get(id);
        if (end === undefined) findings.add(`a webhook came under the id ${id}, which is none of its ends`, run.id);
        else if (end !== type || data.id !== run.id)
          findings.add(`the webhook ${id} told ${type} of ${data.id}, but it was ${end}`, run.id);
      }
    },
    counts: () => ({ calls, repeated: calls - deliveries.size }),
  };
}
