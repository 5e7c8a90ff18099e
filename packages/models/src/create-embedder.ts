import { FlowstateError } from '@flowstate/contracts';
import { createCircuit, type Circuit } from './circuit.ts';
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
  EMBEDDINGS_OTHER_MODELS?: string | undefined;
};

export type Embedders = {
  /** What collections without embeddings get. */
  first: Embedder;
  /** What collections may have been embedded by before, or can be embedded by anew. */
  others: readonly Embedder[];
  /** The way to the endpoint; null without one. */
  circuit: Circuit | null;
  close(): Promise<void>;
};

/**
 * The endpoint's models when one is configured, and the offline model in any case. Gateway and workers must be
 * configured alike.
 */
export function embeddersFrom(config: EmbeddingsConfig): Embedders {
  const { EMBEDDINGS_BASE_URL: baseUrl, EMBEDDINGS_API_KEY: apiKey, EMBEDDINGS_MODEL: model } = config;
  const offline = createEmbedder({ kind: 'offline' });
  if (baseUrl === undefined) return { first: offline, others: [], circuit: null, close: () => offline.close() };
  if (model === undefined) {
    throw new FlowstateError('invalid_input', 'EMBEDDINGS_MODEL is required with EMBEDDINGS_BASE_URL');
  }
  const circuit = createCircuit();
  const further = (config.EMBEDDINGS_OTHER_MODELS ?? '').split(',').map((name) => name.trim());
  const names = new Set([model, ...further.filter((name) => name !== '')]);
  const served = [...names].map((name) => createEmbedder({ kind: 'endpoint', baseUrl, apiKey, model: name, circuit }));
  const [first = offline, ...rest] = served;
  // An endpoint may serve the same model as is here.
  const others = names.has(offline.model) ? rest : [...rest, offline];
  return {
    first,
    others,
    circuit,
    close: async () => void (await Promise.all([...served, offline].map((embedder) => embedder.close()))),
  };
}
