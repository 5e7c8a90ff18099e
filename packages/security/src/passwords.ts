import { hash, verify } from '@node-rs/argon2';
import { randomToken } from './secret-tokens.ts';

export type Passwords = {
  /** argon2id with the library's defaults (19 MiB, 2 passes, 1 lane: OWASP's first choice). */
  hash(password: string): Promise<string>;
  /** Takes as long for a user that does not exist (`stored` null) as for a wrong password. */
  verify(stored: string | null, password: string): Promise<boolean>;
};

export function createPasswords(): Passwords {
  // Made ahead, so that not even the first unknown user takes longer.
  const nobody = hash(randomToken());
  return {
    hash: (password) => hash(spelled(password)),
    async verify(stored, password) {
      const matches = await verify(stored ?? (await nobody), spelled(password));
      return matches && stored !== null;
    },
  };
}

/** The same characters typed on different keyboards are the same password (NIST SP 800-63B, 3.1.1.2). */
function spelled(password: string): string {
  return password.normalize('NFKC');
}
