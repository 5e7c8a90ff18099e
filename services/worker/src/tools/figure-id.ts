import { createHash } from 'node:crypto';

/**
 * Id by which a computed figure is cited, the same on every try: from the place of its call in the conversation
 * (`…/tool#3.1` is `f3.1`), else from the key itself.
 */
export function figureId(idempotencyKey: string): string {
  const place = /\/tool#(\d+\.\d+)$/.exec(idempotencyKey)?.[1];
  return `f${place ?? createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 8)}`;
}
