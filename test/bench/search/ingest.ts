import { createEmbedder } from '@flowstate/models';
import type { Client } from '@flowstate/test';

/** Texts a second that the model embeds when it does nothing else. */
export async function modelRate(texts: readonly string[], signal: AbortSignal): Promise<number> {
  const embedder = createEmbedder({ kind: 'offline' });
  try {
    await embedder.embed(texts.slice(0, 1), signal); // loads it
    const begun = performance.now();
    await embedder.embed(texts, signal);
    return (texts.length / (performance.now() - begun)) * 1000;
  } finally {
    await embedder.close();
  }
}

/** Documents a second from the first byte of an NDJSON import until the last one can be found. */
export async function ingestRate(client: Client, texts: readonly string[], name: string): Promise<number> {
  // What came before has loaded the worker's model.
  await ingest(client, texts.slice(0, 1), `${name}-first`);
  const begun = performance.now();
  await ingest(client, texts, name);
  return (texts.length / (performance.now() - begun)) * 1000;
}

async function ingest(client: Client, texts: readonly string[], name: string): Promise<void> {
  const lines = texts.map((text, i) => JSON.stringify({ externalId: `${name}-${i}`, collection: 'ingested', text }));
  const type = { 'content-type': 'application/x-ndjson' };
  const { body } = await client.post<string>('/api/documents', lines.join('\n'), type);
  const summary = JSON.parse(body.trim().split('\n').at(-1) ?? '') as { runs?: string[]; inserted?: number };
  if (summary.inserted !== texts.length || summary.runs === undefined) throw new Error(`not all were taken: ${body}`);
  for (const run of summary.runs) {
    const events = await Array.fromAsync(client.events(run));
    if (events.at(-1)?.event !== 'run.completed') throw new Error(`run ${run} ended otherwise`);
  }
}
