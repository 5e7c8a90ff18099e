/** A tool as a language model gets to know it. */
export type OfferedTool = { name: string; description: string; /** JSON Schema. */ input: object };

/** A model's wish to have a tool called. */
export type ToolCall = {
  id: string;
  tool: string;
  /** As parsed; the text itself where it was no JSON. */
  input: unknown;
  /** What its provider wants to see again with the call. */
  provider?: unknown;
};

export type ModelMessage =
  | { role: 'user'; text: string }
  | { role: 'assistant'; text: string; toolCalls: readonly ToolCall[] }
  /** One for each call of the message before it, or the provider refuses the conversation. */
  | { role: 'tool'; callId: string; tool: string; text: string };

export type ModelRequest = {
  model: string;
  /** The system message. */
  instructions: string;
  messages: readonly ModelMessage[];
  tools: readonly OfferedTool[];
  /** False: now it is to answer. */
  mayCall: boolean;
  /** The answer is JSON of this schema. Sent along only where no tool is offered: many endpoints cannot do both. */
  output: { name: string; /** JSON Schema. */ schema: object };
  maxOutputTokens: number;
  /** Sent as `Idempotency-Key`. */
  idempotencyKey: string;
};

export type ModelAnswer = {
  text: string;
  toolCalls: ToolCall[];
  /** `length`: it was cut at `maxOutputTokens`; `filtered`: the provider or the model refused to answer. */
  finish: 'stop' | 'tool_calls' | 'length' | 'filtered' | 'other';
  /** As the provider says; estimated where it does not. */
  usage: { inputTokens: number; outputTokens: number };
};

export type ModelListener = {
  signal: AbortSignal;
  onText?: (text: string) => void;
  onUsage?: (usage: ModelAnswer['usage']) => void;
};

/** The one way to a language model. */
export type LanguageModel = {
  /** Names of the models to ask, the preferred one first. */
  readonly models: readonly string[];
  /**
   * One try. `onText` gets the answer's text as it comes, `onUsage` what the call used as soon as that is certain: also
   * of one that failed and used nothing, since it was refused or never made. Of one that was cut off it is told nothing.
   * Throws `unavailable`, `rate_limited`, `timeout` (worth a retry, after `retryAfter`), `upstream_failed`, or the
   * signal's reason. Errors say nothing of prompt, answer or key.
   */
  ask(request: ModelRequest, options: ModelListener): Promise<ModelAnswer>;
};

/** Tokens some text may be at most, roughly: 3 bytes each, where English has 4 and Chinese about 3. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 3);
}
