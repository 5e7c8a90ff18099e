import { readFileSync } from 'node:fs';
import type { Terminal } from '../terminal.ts';
import { readLocalEnv } from '../connection.ts';

/** Text without a secret in it. */
export type Redact = (text: string) => string;

const secretName = /SECRET|PASSWORD|TOKEN|API_KEY/;
/** Nothing this short protects anything, and it would be found everywhere. */
const leastLength = 8;

const shapes: [RegExp, string][] = [
  [/eyJ[\w-]{8,}\.eyJ[\w-]{8,}(\.[\w-]*)?/g, '[a token]'],
  [/\bfsr_[\w-]{8,}/g, '[a refresh token]'],
  [/\b(fsk_\w{12})_[\w-]{20,}/g, '$1_[redacted]'],
  [/\bwhsec_[\w+/=-]{8,}/g, '[a webhook secret]'],
  [/\$argon2[^\s"'\\]+/g, '[a password hash]'],
  [/\b(Bearer|Basic) [\w.~+/=-]{8,}/gi, '$1 [redacted]'],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@:"'\\]*:[^\s/@"'\\]+@/gi, '$1[redacted]@'],
];

/** Takes out every secret the environment knows, by its value, and whatever has the shape of one. */
export async function createRedact({ env, localEnvFile }: Terminal): Promise<Redact> {
  const known = secretsOf({ ...(await readLocalEnv(localEnvFile)) }).concat(secretsOf(env));
  // The longest first: one may be part of another.
  const values = [...new Set(known)].toSorted((a, b) => b.length - a.length);
  return (text) => {
    const plain = values.reduce((rest, value) => rest.replaceAll(value, '[redacted]'), text);
    return shapes.reduce((rest, [shape, instead]) => rest.replaceAll(shape, instead), plain);
  };
}

/** The same value with every text in it redacted: before a text is escaped for Markdown, which would hide a secret. */
export function redactValue<T>(value: T, redact: Redact): T {
  if (typeof value === 'string') return redact(value) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => redactValue(item, redact)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactValue(item, redact)])) as T;
}

function secretsOf(env: NodeJS.ProcessEnv): string[] {
  const found = Object.entries(env).flatMap(([name, value = '']) => {
    if (name.endsWith('_FILE')) return secretName.test(name) && !/SINK/.test(name) ? [contentOf(value)] : [];
    if (name.endsWith('_URL')) return [passwordIn(value)];
    return secretName.test(name) ? [value, ...value.split(',')] : [];
  });
  return found.map((value) => value.trim()).filter((value) => value.length >= leastLength);
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // whoever needs it says so
  }
}

function passwordIn(url: string): string {
  return URL.canParse(url) ? decodeURIComponent(new URL(url).password) : '';
}
