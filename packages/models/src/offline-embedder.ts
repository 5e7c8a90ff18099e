import { Worker } from 'node:worker_threads';
import { FlowstateError } from '@flowstate/contracts';
import { callModel } from '@flowstate/tracing';
import type { Embedder } from './embedder.ts';
import type { EmbedAnswer, EmbedRequest } from './offline-thread.ts';

export type OfflineOptions = {
  /** Texts waiting at most, over all calls; one more answers `unavailable` (default 5,000). */
  maxQueued?: number;
  /** What runs in the thread; speaks `EmbedRequest` and `EmbedAnswer`. */
  thread?: URL;
};

type Call = {
  texts: readonly string[];
  vectors: number[][];
  signal: AbortSignal | undefined;
  resolve: (vectors: number[][]) => void;
  reject: (reason: unknown) => void;
};

const model = 'all-MiniLM-L6-v2';
/** The model reads 256 tokens; tokenising a whole book to drop its rest would block the thread. */
const maxChars = 4_000;

/**
 * all-MiniLM-L6-v2 (384 dimensions) from a package on disk, computed in one worker thread because the engine is
 * synchronous (tens of milliseconds a text). Calls take turns text by text, so that a search does not wait behind bulk
 * work. A thread that dies fails the call it worked on, the next one gets a new thread; an idle one never keeps the
 * process alive.
 */
export function createOfflineEmbedder({ maxQueued = 5_000, thread: script }: OfflineOptions = {}): Embedder {
  let thread: Worker | undefined;
  let current: Call | undefined;
  let waiting: Call[] = [];
  let closed = false;

  function pump(): void {
    if (current !== undefined) return;
    current = waiting.shift();
    if (current === undefined) {
      thread?.unref();
      return;
    }
    thread ??= start();
    thread.ref();
    const text = current.texts[current.vectors.length] ?? '';
    thread.postMessage({ text: text.slice(0, maxChars) } satisfies EmbedRequest);
  }

  function start(): Worker {
    // Neither the process' preloaded modules (telemetry) nor its secrets are any business of the thread.
    const worker = new Worker(script ?? new URL('./offline-thread.ts', import.meta.url), { execArgv: [], env: {} });
    let cause: unknown;
    worker.on('error', (error) => (cause = error));
    worker.on('exit', () => {
      if (thread !== worker) return;
      thread = undefined;
      current?.reject(new FlowstateError('unavailable', 'The embedding thread died', { cause }));
      current = undefined;
      pump();
    });
    worker.on('message', ({ vector }: EmbedAnswer) => {
      const call = current;
      current = undefined;
      if (call !== undefined && !call.signal?.aborted) {
        call.vectors.push(vector);
        if (call.vectors.length < call.texts.length) waiting.push(call);
        else call.resolve(call.vectors);
      }
      pump();
    });
    return worker;
  }

  function enqueue(texts: readonly string[], signal: AbortSignal | undefined): Promise<number[][]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[][]>();
    const call: Call = { texts, vectors: [], signal, resolve, reject };
    const abort = () => {
      waiting = waiting.filter((other) => other !== call);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    waiting.push(call);
    pump();
    return promise.finally(() => signal?.removeEventListener('abort', abort));
  }

  return {
    model,
    dimensions: 384,
    async embed(texts, signal) {
      signal?.throwIfAborted();
      if (closed) throw new FlowstateError('unavailable', 'The embedder is closed');
      if (texts.length === 0) return [];
      const queued = waiting.reduce((sum, call) => sum + call.texts.length - call.vectors.length, 0);
      // One call alone may be larger than the bound: it is in memory already.
      if (queued > 0 && queued + texts.length > maxQueued) {
        throw new FlowstateError('unavailable', `${queued} texts are already waiting for their embeddings`);
      }
      return callModel({ operation: 'embeddings', provider: 'local', model }, () => enqueue(texts, signal));
    },
    async close() {
      closed = true;
      const left = current === undefined ? waiting : [current, ...waiting];
      waiting = [];
      current = undefined;
      for (const call of left) call.reject(new FlowstateError('unavailable', 'The embedder was closed'));
      const worker = thread;
      thread = undefined;
      await worker?.terminate();
    },
  };
}
