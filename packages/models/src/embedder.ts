/** Turns texts into vectors whose cosine similarity says how near their meanings are. */
export type Embedder = {
  /** Stored with each collection; vectors of different models are never compared. */
  readonly model: string;
  /** Length of every vector; null while an endpoint has not answered yet. */
  readonly dimensions: number | null;
  /**
   * One vector per text, in their order; what is beyond the model's input length does not count.
   * Throws `unavailable`, `rate_limited`, `timeout` (worth a retry), `upstream_failed` (is not), or the signal's reason.
   * A signal that is aborted by a time limit counts against an endpoint that is silent by then, one that is aborted
   * otherwise does not.
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<number[][]>;
  /** Rejects what is still waiting. */
  close(): Promise<void>;
};
