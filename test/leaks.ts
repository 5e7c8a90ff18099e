import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Tokens have shapes of their own, whoever made them: access tokens (JWT), refresh tokens, API keys. */
const tokenShapes = /\bfsr_[\w-]{20,}|\bfsk_\w{12}_[\w-]{20,}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}/;

export type Leak = { service: string; what: string; line: string };

/**
 * Lines in which a service printed a secret it was given, or a token, in what `support/output-record.ts` wrote into
 * `folder`. The secret itself is blotted out.
 */
export async function findLeaks(folder: string): Promise<{ lines: number; leaks: Leak[] }> {
  const found: Leak[] = [];
  let lines = 0;
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.out'))) {
    const secrets = await readSecrets(join(folder, file.replace(/\.out$/, '.secrets')));
    for await (const text of createInterface({ input: createReadStream(join(folder, file)) })) {
      lines += 1;
      const leak = leakIn(text, secrets);
      if (leak !== null) found.push(leak);
    }
  }
  return { lines, leaks: found };
}

function leakIn(text: string, secrets: Map<string, string>): Leak | null {
  const at = text.indexOf(' ');
  const [service, line] = [text.slice(0, at), text.slice(at + 1)];
  for (const [secret, name] of secrets) {
    if (line.includes(secret)) return { service, what: name, line: line.replaceAll(secret, '█') };
  }
  return tokenShapes.test(line) ? { service, what: 'a token', line: line.replace(tokenShapes, '█') } : null;
}

/** By secret, the variable that holds it. */
async function readSecrets(file: string): Promise<Map<string, string>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const { name, secret } = JSON.parse(line) as { name: string; secret: string };
      return [secret, name];
    }),
  );
}
