import { FlowstateError } from '@flowstate/contracts';
import type { Embedder, Embedders } from '@flowstate/models';

/** What embeds by that model; null: a collection without embeddings. Throws `conflict` for one that is not here. */
export function embedderOf({ first, others }: Pick<Embedders, 'first' | 'others'>, model: string | null): Embedder {
  if (model === null) return first;
  const found = [first, ...others].find((embedder) => embedder.model === model);
  if (found === undefined) throw new FlowstateError('conflict', `No worker here embeds by ${model}`);
  return found;
}
