/** One call of a model that is over. */
export type EndedModelCall = {
  operation: 'embeddings' | 'chat';
  model: string;
  /** What it threw; undefined when it was answered. */
  error: unknown;
  inputTokens: number;
  outputTokens: number;
  /** US dollars; null where the model has no price. */
  costUsd: number | null;
};

export type ModelObserver = {
  /** US dollars of what was used; null where the model has no price. */
  costUsd(model: string, used: { inputTokens: number; outputTokens: number }): number | null;
  onCall(call: EndedModelCall): void;
};

let observer: ModelObserver | undefined;

/** Has every call of a model priced and told from now on; said once, by the service. */
export function observeModelCalls(by: ModelObserver): void {
  observer = by;
}

/** Whoever the service told to look at calls of models. */
export function modelObserver(): ModelObserver | undefined {
  return observer;
}
