import { checkWebhookUrl, FlowstateError, parseRetryAfter } from '@flowstate/contracts';
import type { Agent, request as undiciRequest } from 'undici';
import { createGuardedLookup, type Resolve } from './guarded-lookup.ts';
import { signedHeaders } from './signature.ts';

export type WebhookAnswer = {
  /** HTTP status; null when there was no answer. */
  status: number | null;
  /** Why it does not count as delivered; null: it does. */
  error: string | null;
  /** What the endpoint asked for. */
  retryAfterMs: number | null;
  /** The endpoint wants no more of it. */
  gone: boolean;
  /** Known not to have reached anybody; false where it may have, or has. */
  unsent: boolean;
};

export type WebhookSender = {
  /** Posts a message once. Never throws: what goes wrong is the answer. */
  send(url: string, message: { id: string; body: string }): Promise<WebhookAnswer>;
  close(): Promise<void>;
};

type Options = {
  key: Buffer;
  version: string;
  allowPrivate: boolean;
  /** For a try as a whole. */
  timeoutMs: number;
  /** Connections to one origin. */
  connections: number;
  resolve?: Resolve;
};

/** The status says everything; this much of a body is read so that the connection can be used again. */
const bodyLimit = 16 * 1024;

/** Sends signed webhooks, to addresses that were checked and nowhere else. Redirects are not followed. */
export function createWebhookSender({ key, version, allowPrivate, timeoutMs, connections, resolve }: Options) {
  const lookup = createGuardedLookup({ allowPrivate, ...(resolve && { resolve }) });
  // A hundred modules, which a start does not wait for.
  let loaded: Promise<{ agent: Agent; request: typeof undiciRequest }> | undefined;
  async function load() {
    const { Agent, request } = await import('undici');
    return { request, agent: new Agent({ connections, allowH2: false, connect: { lookup, timeout: timeoutMs } }) };
  }

  async function post(url: string, { id, body }: { id: string; body: string }): Promise<WebhookAnswer> {
    // No name is looked up for an address in the URL, and the configuration may have changed since it was accepted.
    checkWebhookUrl(url, { allowPrivate });
    const { agent, request } = await (loaded ??= load());
    const answer = await request(url, {
      method: 'POST',
      dispatcher: agent,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'content-type': 'application/json',
        'user-agent': `Flowstate/${version}`,
        ...signedHeaders(key, { id, timestamp: new Date(), body }),
      },
      body,
    });
    await answer.body.dump({ limit: bodyLimit }).catch(() => {});
    const { statusCode: status, headers } = answer;
    const delivered = status >= 200 && status < 300;
    return {
      status,
      error: delivered
        ? null
        : status >= 300 && status < 400
          ? 'A redirect, which is not followed'
          : `Status ${status}`,
      retryAfterMs: parseRetryAfter(headers['retry-after']),
      gone: status === 410,
      unsent: false,
    };
  }

  const sender: WebhookSender = {
    send: (url, message) =>
      post(url, message).catch((error: unknown) => ({
        status: null,
        error: reasonOf(error, timeoutMs),
        retryAfterMs: null,
        gone: false,
        unsent: isUnsent(error),
      })),
    close: async () => (await loaded)?.agent.close(),
  };
  return sender;
}

/** Failures before there was a connection. */
const beforeSending = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

function isUnsent(error: unknown): boolean {
  return error instanceof FlowstateError || beforeSending.has((error as { code?: string }).code ?? '');
}

/** In words without addresses: the log is read by whoever may read the run. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof FlowstateError) return error.message;
  const { name, code } = error as { name?: string; code?: string };
  if (name === 'TimeoutError' || code === 'UND_ERR_CONNECT_TIMEOUT') return `No answer within ${timeoutMs / 1000} s`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `Its name cannot be resolved (${code})`;
  return `No answer (${code ?? name ?? 'unknown'})`;
}
