import { createHash, randomBytes } from 'node:crypto';

/** 256 random bits in URL-safe characters. */
export function randomToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What is stored in place of a token. One round of SHA-256 is enough for 256 random bits; passwords need argon2. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
