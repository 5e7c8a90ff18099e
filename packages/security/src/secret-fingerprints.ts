import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';

const slowHash = promisify<string, string, number, Buffer>(scrypt);

/** Secrets whose age is watched, where a URL carries one its password. */
const urls = ['DATABASE_URL', 'REDIS_URL', 'REDIS_CACHE_URL'] as const;
const plain = ['JWT_SECRET', 'WEBHOOK_SECRET', 'WORKER_API_KEY', 'METRICS_TOKEN'] as const;

type Settings = Partial<Record<(typeof urls)[number] | (typeof plain)[number], string | undefined>>;

/** The secrets a service was given, by name; without those that are not set. */
export function secretsOf(settings: Settings): Map<string, string> {
  const passwords = urls.map((name) => [name, decodeURIComponent(URL.parse(settings[name] ?? '')?.password ?? '')]);
  const values = [...passwords, ...plain.map((name) => [name, settings[name] ?? ''])] as [string, string][];
  return new Map(values.filter(([, value]) => value !== ''));
}

/**
 * Tells one value of a secret from another, and nothing else: sixteen bits of scrypt (RFC 7914; some 50 ms). Whoever
 * has it and guesses finds every 65,536th guess to fit; and as rarely a new value looks like the old one, which then
 * seems older than it is.
 */
export async function secretFingerprint(value: string, salt: string): Promise<string> {
  return (await slowHash(value, salt, 32)).subarray(0, 2).toString('hex');
}
