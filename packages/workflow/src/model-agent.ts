import type { Static, TSchema } from 'typebox';
import type { Tool } from './tool.ts';

/** What a tool answered in this conversation, for checking what the model makes of it. */
export type Evidence = { tool: string; input: unknown; output: unknown };

/** Why an answer is not good enough, in words the model can act on, e.g. `figures[2]: 41 is not what it cites (38)`. */
export type Objection = string;

/** An agent with a language model's mind. Its conversation is steps of the run: nothing said or done is said or done twice. */
export type ModelAgent<I extends TSchema = TSchema, O extends TSchema = TSchema> = {
  name: string;
  description: string;
  input: I;
  /** The answer is asked for, and checked, in this shape. */
  output: O;
  /** The system message. Never put what was retrieved in here: that is data, it belongs into the prompt or a tool's answer. */
  instructions: string;
  /** The first user message. */
  prompt(input: Static<I>): string;
  tools?: readonly Tool[];
  /** Model calls at most, repairs included (default 8). */
  maxCalls?: number;
  /** Tokens of one answer at most (default 2,048). */
  maxOutputTokens?: number;
  /** Looks at an answer of the right shape; an objection sends it back for repair. */
  check?(output: Static<O>, input: Static<I>, evidence: readonly Evidence[]): readonly Objection[];
};

export function defineModelAgent<I extends TSchema, O extends TSchema>(agent: ModelAgent<I, O>): ModelAgent<I, O> {
  return agent;
}
