import { readFile } from 'node:fs/promises';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** The value of `--input`: JSON, or @file, or - for standard input. */
export async function readJsonInput(text: string, { stdin }: Pick<Terminal, 'stdin'>): Promise<unknown> {
  try {
    if (text === '-') return JSON.parse(Buffer.concat(await Array.fromAsync(stdin)).toString());
    return JSON.parse(text.startsWith('@') ? await readFile(text.slice(1), 'utf8') : text);
  } catch (error) {
    throw new CommandError(`--input: ${(error as Error).message}`, exitCodes.usage);
  }
}

/** A number; what is none is sent as it is, for the gateway to name the field. */
export function toNumber(text: string): unknown {
  return /^-?\d+$/.test(text) ? Number(text) : text;
}
