import { invalidInput } from '@flowstate/contracts';
import { secretWeakness } from './secret-strength.ts';

const prefix = 'whsec_';
const readable = /^[\x20-\x7e]+$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The HMAC key in `WEBHOOK_SECRET`: what follows `whsec_` in base64, as Standard Webhooks writes it, or the text's own
 * bytes. Null without a secret. Throws `invalid_input` for one that is malformed, too short to protect anything, or a
 * placeholder in base64.
 */
export function webhookKey(secret: string | undefined): Buffer | null {
  if (secret === undefined) return null;
  const encoded = secret.startsWith(prefix) ? secret.slice(prefix.length) : null;
  const key = encoded === null ? Buffer.from(secret) : Buffer.from(encoded, 'base64');
  if (encoded !== null && (!base64.test(encoded) || key.length < 24 || key.length > 64)) {
    throw invalidInput([{ field: 'WEBHOOK_SECRET', message: 'must have base64 of 24 to 64 bytes after whsec_' }]);
  }
  if (key.length < 24) throw invalidInput([{ field: 'WEBHOOK_SECRET', message: 'must have at least 24 bytes' }]);
  const text = key.toString('latin1');
  // Random bytes are hardly ever readable; the words of an example file are.
  const weakness = encoded !== null && readable.test(text) ? secretWeakness(text) : undefined;
  if (weakness !== undefined) throw invalidInput([{ field: 'WEBHOOK_SECRET', message: weakness }]);
  return key;
}
