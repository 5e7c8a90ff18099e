import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEmbedder } from '@flowstate/models';
import type { Surroundings } from '../bench.ts';

export const dimensions = 384;

const folder = fileURLToPath(new URL('../../../.flowstate/bench-embeddings', import.meta.url));
const bytesEach = dimensions * 4;
const batchSize = 64;

/**
 * Embeddings of the first `count` texts by the offline model. What was computed once is kept on disk, as single-precision numbers one
 * after another, and a computation that was interrupted goes on from there.
 */
export async function embeddingsOf(
  name: string,
  all: readonly string[],
  count: number,
  { cleanup, signal, log }: Surroundings,
): Promise<Float32Array[]> {
  const embedder = createEmbedder({ kind: 'offline' });
  cleanup.teardown(() => embedder.close());
  const hash = createHash('sha256')
    .update(JSON.stringify([embedder.model, all]))
    .digest('hex')
    .slice(0, 16);
  const file = join(folder, `${name}-${hash}.f32`);
  mkdirSync(folder, { recursive: true });
  const texts = all.slice(0, count);
  let done = existsSync(file) ? Math.floor(readFileSync(file).length / bytesEach) : 0;
  if (done > 0) truncateSync(file, done * bytesEach);
  if (done < texts.length) log(`embedding ${texts.length - done} ${name}; they are kept in ${file}`);
  const begun = performance.now();
  for (const from = done; done < texts.length;) {
    const vectors = await embedder.embed(texts.slice(done, done + batchSize), signal);
    appendFileSync(file, Buffer.concat(vectors.map((vector) => Buffer.from(new Float32Array(vector).buffer))));
    done += vectors.length;
    const seconds = (performance.now() - begun) / 1000;
    if (done % (batchSize * 16) === 0 || done === texts.length) {
      log(
        `  ${done} of ${texts.length}, ${((done - from) / seconds).toFixed(1)} a second, ${seconds.toFixed(0)} s so far`,
      );
    }
  }
  const bytes = readFileSync(file);
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, texts.length * dimensions);
  return texts.map((_, i) => numbers.subarray(i * dimensions, (i + 1) * dimensions));
}
