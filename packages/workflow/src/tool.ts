import type { Effect, Role } from '@flowstate/contracts';
import type { Static, TSchema } from 'typebox';
import type { Backend } from './backend.ts';

/** What a tool's function gets. It reaches the platform through `backend` alone: with the authority of whoever asked. */
export type ToolContext = {
  runId: string;
  signal: AbortSignal;
  backend: Backend;
  /** Same value on every try of this call, also after a crash: hand it to the far end of a keyed effect. */
  idempotencyKey: string;
};

/** A function a language model may ask for. */
export type Tool<I extends TSchema = TSchema, O extends TSchema = TSchema> = {
  /** As the model sees it, e.g. `customer_facts`. */
  name: string;
  description: string;
  input: I;
  output: O;
  effect: Effect;
  /** Roles on whose behalf it may be called; all six unless said otherwise. The gateway decides again at each call. */
  roles?: readonly Role[];
  /** A person other than whoever asked has to agree first, and may change the input. */
  approval?: boolean;
  /** Milliseconds for one call (default 30,000). */
  timeoutMs?: number;
  run(ctx: ToolContext, input: Static<I>): Promise<Static<O>> | Static<O>;
};

export function defineTool<I extends TSchema, O extends TSchema>(tool: Tool<I, O>): Tool<I, O> {
  return tool;
}
