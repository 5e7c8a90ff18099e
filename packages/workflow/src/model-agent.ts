import { FlowstateError } from '@flowstate/contracts';
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

/** What every provider takes as the name of a tool and of an answer's schema. */
const wellNamed = /^[a-zA-Z0-9_-]{1,64}$/;

/** Declares an agent. Throws `invalid_input` for a name no provider takes, a tool declared twice, or no calls at all. */
export function defineModelAgent<I extends TSchema, O extends TSchema>(agent: ModelAgent<I, O>): ModelAgent<I, O> {
  const { name, tools = [], maxCalls = 1, maxOutputTokens = 1 } = agent;
  const names = [name, ...tools.map((tool) => tool.name)];
  const bad = names.find((each) => !wellNamed.test(each));
  const twice = names.find((each, index) => index > 0 && names.indexOf(each, 1) !== index);
  const wrong = [
    bad !== undefined && `${bad} is no name: letters, digits, _ and -, at most 64`,
    twice !== undefined && `tool ${twice} is there twice`,
    !(Number.isInteger(maxCalls) && maxCalls > 0) && 'maxCalls must be a whole number above 0',
    !(Number.isInteger(maxOutputTokens) && maxOutputTokens > 0) && 'maxOutputTokens must be a whole number above 0',
  ].find((message) => message !== false);
  if (wrong !== undefined) throw new FlowstateError('invalid_input', `Agent ${name}: ${wrong}`);
  return agent;
}
