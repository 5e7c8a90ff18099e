import { setTimeout as sleep } from 'node:timers/promises';
import { createCheck, FlowstateError, parseRetryAfter } from '@flowstate/contracts';
import { callModel } from '@flowstate/tracing';
import Type from 'typebox';
import { createCircuit, type Circuit } from './circuit.ts';
import type { Embedder } from './embedder.ts';

export type EndpointOptions = {
  /** Such as `https://api.openai.com/v1`; `/v1` is added when it has no path. */
  baseUrl: string;
  model: string;
  apiKey?: string | undefined;
  /** Texts per request (default 64). */
  batchSize?: number;
  /** Milliseconds for one try (default 30,000). */
  timeoutMs?: number;
  /** Tries in all, for 429, 5xx and lost connections (default 4). */
  attempts?: number;
  /** Milliseconds before the second try, doubling, full jitter (default 500). */
  backoffMs?: number;
  /** A longer `Retry-After` in milliseconds is not waited for but handed on as an error (default 60,000). */
  maxWaitMs?: number;
  /** Shared by the models of one endpoint. */
  circuit?: Circuit;
};

const Answer = Type.Object({
  data: Type.Array(
    Type.Object({
      index: Type.Optional(Type.Integer({ minimum: 0 })),
      embedding: Type.Array(Type.Number(), { minItems: 1 }),
    }),
  ),
  usage: Type.Optional(Type.Object({ prompt_tokens: Type.Optional(Type.Integer({ minimum: 0 })) })),
});
const checkAnswer = createCheck(Answer, { root: 'answer' });

/** Endpoints refuse inputs beyond some 8,000 tokens outright; this many characters stay below in any script. */
const maxChars = 8_000;

/** Embeddings from any OpenAI-compatible `POST /v1/embeddings`. */
export function createEndpointEmbedder(options: EndpointOptions): Embedder {
  const {
    model,
    apiKey,
    batchSize = 64,
    timeoutMs = 30_000,
    attempts = 4,
    backoffMs = 500,
    maxWaitMs = 60_000,
    circuit = createCircuit(),
  } = options;
  const url = embeddingsUrl(options.baseUrl);
  let dimensions: number | null = null;
  const closing = new AbortController();

  async function request(input: string[], signal: AbortSignal, onRefusal: (response: Response) => void) {
    const tryTime = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
        body: JSON.stringify({ model, input, encoding_format: 'float' }),
        redirect: 'error', // a key goes where it was configured to go, nowhere else
        signal: AbortSignal.any([signal, tryTime]),
      });
      if (!response.ok) {
        onRefusal(response);
        await response.body?.cancel();
        throw refusal(response);
      }
      return inOrder(await readJson(response), input.length);
    } catch (error) {
      // Whoever goes early says nothing about the endpoint; one whose time is over while it is silent does.
      if (isTimeUp(signal)) throw new FlowstateError('timeout', 'The embeddings endpoint did not answer in time');
      signal.throwIfAborted();
      if (error instanceof FlowstateError) throw error;
      if (tryTime.aborted) {
        throw new FlowstateError('timeout', `The embeddings endpoint took longer than ${timeoutMs} ms`, {
          cause: error,
        });
      }
      throw new FlowstateError('unavailable', 'The embeddings endpoint cannot be reached', { cause: error });
    }
  }

  async function persistently(input: string[], signal: AbortSignal): Promise<number[][]> {
    for (let attempt = 1; ; attempt++) {
      let askedMs = 0;
      try {
        const onRefusal = (response: Response) =>
          void (askedMs = parseRetryAfter(response.headers.get('retry-after')) ?? 0);
        return await circuit.run(async () =>
          callModel({ operation: 'embeddings', provider: 'openai', model }, async (used) => {
            const { vectors, inputTokens } = await request(input, signal, onRefusal);
            if (inputTokens !== undefined) used({ inputTokens });
            return vectors;
          }),
        );
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof FlowstateError) || !error.retryable || attempt === attempts) throw error;
        // Who is left alone is not asked again, and whoever waits here should know.
        if (askedMs > maxWaitMs || circuit.state() !== 'closed') throw error;
        const wait = Math.max(askedMs, Math.random() * backoffMs * 2 ** (attempt - 1));
        await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    }
  }

  return {
    model,
    get dimensions() {
      return dimensions;
    },
    async embed(texts, signal) {
      const stop = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
      stop.throwIfAborted();
      const vectors: number[][] = [];
      for (let i = 0; i < texts.length; i += batchSize) {
        const input = texts.slice(i, i + batchSize).map((text) => text.slice(0, maxChars).toWellFormed());
        for (const vector of await persistently(input, stop)) {
          dimensions ??= vector.length;
          if (vector.length !== dimensions) throw wrong(`vectors of ${dimensions} and of ${vector.length} dimensions`);
          vectors.push(vector);
        }
      }
      return vectors;
    },
    async close() {
      closing.abort(new FlowstateError('unavailable', 'The embedder was closed'));
    },
  };
}

/** `AbortSignal.timeout`, or whatever else limits the caller's time. */
function isTimeUp({ aborted, reason }: AbortSignal): boolean {
  if (!aborted) return false;
  return reason instanceof FlowstateError ? reason.code === 'timeout' : (reason as Error).name === 'TimeoutError';
}

function embeddingsUrl(baseUrl: string): string {
  if (!URL.canParse(baseUrl)) throw new FlowstateError('invalid_input', 'EMBEDDINGS_BASE_URL is not a URL');
  const url = new URL(baseUrl);
  const path = url.pathname.replace(/\/+$/, '');
  if (!path.endsWith('/embeddings')) url.pathname = `${path === '' ? '/v1' : path}/embeddings`;
  return url.href;
}

/** The far end's words stay out of it: they may quote the text or the key. */
function refusal(response: Response): FlowstateError {
  const { status } = response;
  const waitMs = parseRetryAfter(response.headers.get('retry-after'));
  const hint = waitMs === null ? {} : { retryAfter: Math.ceil(waitMs / 1000) };
  if (status === 429) return new FlowstateError('rate_limited', 'The embeddings endpoint limits our rate (429)', hint);
  if (status >= 500) return new FlowstateError('unavailable', `The embeddings endpoint failed (${status})`, hint);
  const why = status === 401 || status === 403 ? 'refused our key' : 'refused the request';
  return new FlowstateError('upstream_failed', `The embeddings endpoint ${why} (${status})`);
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw wrong('something that is not JSON');
  }
}

function inOrder(answer: unknown, count: number): { vectors: number[][]; inputTokens: number | undefined } {
  let data;
  let usage;
  try {
    ({ data, usage } = checkAnswer(answer));
  } catch (cause) {
    throw wrong('something that is not a list of embeddings', cause);
  }
  if (data.length !== count) throw wrong(`${data.length} embeddings for ${count} texts`);
  const vectors = new Map(data.map(({ index, embedding }, position) => [index ?? position, embedding]));
  const inTheirOrder = Array.from({ length: count }, (_, i) => {
    const vector = vectors.get(i);
    if (vector === undefined) throw wrong(`no embedding for text ${i}`);
    if (!hasDirection(vector)) throw wrong('an embedding without direction: all zeros, too small or too large');
    return vector;
  });
  return { vectors: inTheirOrder, inputTokens: usage?.prompt_tokens };
}

/** As pgvector sees it, in single precision: elsewhere no similarity is a number, and such a one passes any threshold. */
function hasDirection(vector: readonly number[]): boolean {
  const squares = Math.fround(vector.reduce((sum, x) => sum + Math.fround(x) ** 2, 0));
  return squares > 0 && Number.isFinite(squares);
}

function wrong(what: string, cause?: unknown): FlowstateError {
  return new FlowstateError('upstream_failed', `The embeddings endpoint answered ${what}`, { cause });
}
