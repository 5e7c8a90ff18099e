export type { Embedder } from './embedder.ts';
export { createEmbedder, embedderFrom, type EmbedderOptions } from './create-embedder.ts';
