import { FlowstateError } from '@flowstate/contracts';
import type { Embedder } from './embedder.ts';
import { createEndpointEmbedder, type EndpointOptions } from './endpoint-embedder.ts';
import { createOfflineEmbedder, type OfflineOptions } from './offline-embedder.ts';

export type EmbedderOptions = ({ kind: 'offline' } & OfflineOptions) | ({ kind: 'endpoint' } & EndpointOptions);

/** Nothing is loaded or connected before the first `embed`. */
export function createEmbedder(options: EmbedderOptions): Embedder {
  return options.kind === 'offline' ? createOfflineEmbedder(options) : createEndpointEmbedder(options);
}

type EmbeddingsConfig = {
  EMBEDDINGS_BASE_URL?: string | undefined;
  EMBEDDINGS_API_KEY?: string | undefined;
  EMBEDDINGS_MODEL?: string | undefined;
};

/** The endpoint when one is configured, else the offline model. Gateway and workers must be configured alike. */
export function embedderFrom(config: EmbeddingsConfig): Embedder {
  const { EMBEDDINGS_BASE_URL: baseUrl, EMBEDDINGS_API_KEY: apiKey, EMBEDDINGS_MODEL: model } = config;
  if (baseUrl === undefined) return createEmbedder({ kind: 'offline' });
  if (model === undefined) {
    throw new FlowstateError('invalid_input', 'EMBEDDINGS_MODEL is required with EMBEDDINGS_BASE_URL');
  }
  return createEmbedder({ kind: 'endpoint', baseUrl, apiKey, model });
}
