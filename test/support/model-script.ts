import { readFile } from 'node:fs/promises';
import { createCheck, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false };

/** One answer of the far end, or what it does in place of one. */
const ScriptedAnswer = Type.Object(
  {
    text: Type.Optional(Type.String()),
    /** The same, written as YAML and sent as JSON. */
    json: Type.Optional(Type.Unknown()),
    calls: Type.Optional(
      Type.Array(
        Type.Object(
          { tool: Type.String(), input: Type.Optional(Type.Unknown()), raw: Type.Optional(Type.String()) },
          closed,
        ),
      ),
    ),
    finish: Type.Optional(OneOf(['stop', 'length', 'tool_calls', 'content_filter'])),
    /** An HTTP status in place of an answer. */
    status: Type.Optional(Type.Integer({ minimum: 300 })),
    /** With a status: seconds, or a date, as sent. */
    retryAfter: Type.Optional(Type.String()),
    /** The connection ends after the text. */
    cut: Type.Optional(Type.Boolean()),
    /** After the text comes something that is not JSON. */
    garbled: Type.Optional(Type.Boolean()),
    /** After the text comes an error in place of the rest. */
    error: Type.Optional(Type.String()),
    /** After the text comes nothing any more. */
    silent: Type.Optional(Type.Boolean()),
    /** Milliseconds before each piece of the text. */
    slowMs: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Tokens as the answer says; false: it says nothing of them. */
    usage: Type.Optional(Type.Union([Type.Literal(false), Type.Tuple([Type.Integer(), Type.Integer()])])),
  },
  closed,
);
export type ScriptedAnswer = Static<typeof ScriptedAnswer>;

/**
 * What the far end says. A conversation is found by a text that stands in its messages; its turn is the number of
 * answers it holds already; a repeated request gets the next answer of its turn, the last one again and again.
 */
export const ModelScript = Type.Object(
  {
    conversations: Type.Array(
      Type.Object(
        { when: Type.Optional(Type.String()), turns: Type.Array(Type.Array(ScriptedAnswer, { minItems: 1 })) },
        closed,
      ),
      { minItems: 1 },
    ),
  },
  closed,
);
export type ModelScript = Static<typeof ModelScript>;

const checkScript = createCheck(ModelScript, { root: 'script' });

/** Reads a script from a YAML (or JSON) file. Throws `invalid_input` naming what is wrong with it. */
export async function readModelScript(file: string | URL): Promise<ModelScript> {
  // Every test file takes this one along, few read a script.
  const { parse } = await import('yaml');
  return checkScript(parse(await readFile(file, 'utf8')));
}

/** The simplest one: one conversation, one answer per turn or several for its tries. */
export function scripted(...turns: (ScriptedAnswer | ScriptedAnswer[])[]): ModelScript {
  return checkScript({ conversations: [{ turns: turns.map((turn) => [turn].flat()) }] });
}
