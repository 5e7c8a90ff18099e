import { OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

const Mind = OneOf(['model', 'offline'], {
  default: 'model',
  description: '`offline`: as if no language model were configured',
});

/** Field of a workflow's input that asks to do without the language model. */
export const mindField = { mind: Type.Optional(Mind) };

/** Who worded something: the model, or our own code. */
export const Author = OneOf(['model', 'template']);
export type Author = Static<typeof Author>;
