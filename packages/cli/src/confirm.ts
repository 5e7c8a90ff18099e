import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** Asks a person; without one there is `--yes`. */
export async function confirmed(question: string, { stdin, stderr, signal }: Terminal): Promise<boolean> {
  if (stdin.isTTY !== true) {
    throw new CommandError(
      `${question} There is nobody to ask here: --yes says so, --dry-run only looks`,
      exitCodes.usage,
    );
  }
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    // Ctrl-D is no answer, and no yes.
    const closed = once(lines, 'close', { signal }).then(() => '');
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
