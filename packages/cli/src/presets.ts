import { readdir, readFile } from 'node:fs/promises';
import { createCheck, FlowstateError, ImportMapping, importEntities, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { CommandError, exitCodes } from './terminal.ts';

const folder = new URL('../mappings/', import.meta.url);

/** A data set of several files that is imported by one command: `mappings/<name>.json`. */
const Preset = Type.Object(
  {
    description: Type.String(),
    files: Type.Array(
      Type.Object(
        { file: Type.String(), entity: OneOf(importEntities), mapping: ImportMapping },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
    notes: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);
export type Preset = Static<typeof Preset>;

const checkPreset = createCheck(Preset);
const checkMapping = createCheck(ImportMapping, { root: 'mapping' });

/** Names of the presets that come with Flowstate. */
export async function presetNames(): Promise<string[]> {
  return (await readdir(folder))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -5))
    .toSorted();
}

export async function readPreset(name: string): Promise<Preset> {
  return checkPreset(JSON.parse(await readFile(new URL(`${name}.json`, folder), 'utf8')));
}

/** Reads a mapping file of the user's; throws `CommandError` naming what is wrong with it. */
export async function readMapping(file: string): Promise<ImportMapping> {
  try {
    return checkMapping(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (!(error instanceof FlowstateError || error instanceof SyntaxError || 'code' in (error as Error))) throw error;
    throw new CommandError(`--mapping ${file}: ${(error as Error).message}`, exitCodes.usage);
  }
}
