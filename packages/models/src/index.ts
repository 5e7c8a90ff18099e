export type { Embedder } from './embedder.ts';
export { createCircuit, type Circuit, type CircuitOptions } from './circuit.ts';
export { createEmbedder, embeddersFrom, type EmbedderOptions, type Embedders } from './create-embedder.ts';
export { createEndpointModel, type EndpointModelOptions } from './endpoint-model.ts';
export { languageModelFrom } from './language-model.ts';
export { costUsd, readPrices, type PriceTable } from './model-prices.ts';
