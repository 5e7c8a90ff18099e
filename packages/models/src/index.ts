export type { Embedder } from './embedder.ts';
export { createCircuit, type Circuit } from './circuit.ts';
export { createEmbedder, embeddersFrom, type Embedders } from './create-embedder.ts';
export { createEndpointModel, type EndpointModelOptions } from './endpoint-model.ts';
export { languageModelFrom } from './language-model.ts';
export { costUsd, readPrices } from './model-prices.ts';
