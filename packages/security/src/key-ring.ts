import { createHash } from 'node:crypto';
import { FlowstateError } from '@flowstate/contracts';

export type SigningKey = {
  /** Names the key in a token's header; says nothing about the secret. */
  kid: string;
  secret: string;
};

export type KeyRing = {
  /** Signs every new token. */
  current: SigningKey;
  /** The secret that verifies tokens of this kid; undefined for a key that is not (or no longer) ours. */
  find(kid: string): SigningKey | undefined;
  kids(): string[];
  /** A dead key is found no more, although this gateway still holds it. */
  isKilled(kid: string): boolean;
};

const leastBytes = 32;

/**
 * One secret signs, all of them verify, so that keys change without refusing a token: first every gateway learns the
 * next secret as a "previous" one, then they sign with it one by one. Throws `invalid_input` for a short secret.
 */
export function createKeyRing({
  current,
  previous = [],
  isKilled = () => false,
}: {
  current: string;
  previous?: readonly string[];
  isKilled?: (kid: string) => boolean;
}): KeyRing {
  const keys = [current, ...previous].map(toKey);
  const byKid = new Map(keys.map((key) => [key.kid, key]));
  return {
    current: keys[0] as SigningKey,
    find: (kid) => (isKilled(kid) ? undefined : byKid.get(kid)),
    kids: () => [...byKid.keys()],
    isKilled,
  };
}

/** `JWT_PREVIOUS_SECRETS`: comma-separated. */
export function splitSecrets(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((secret) => secret.trim())
    .filter(Boolean);
}

function toKey(secret: string): SigningKey {
  if (Buffer.byteLength(secret) < leastBytes) {
    throw new FlowstateError('invalid_input', `Every JWT secret needs at least ${leastBytes} bytes`);
  }
  return {
    kid: createHash('sha256').update('flowstate-kid\0').update(secret).digest('base64url').slice(0, 12),
    secret,
  };
}
