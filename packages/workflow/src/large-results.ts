import { FlowstateError, maxInlineBytes, maxResultBytes, type PayloadRef } from '@flowstate/contracts';

/** A result as it goes into the ledger: itself, or where it is stored. */
export type Recorded = { json: string; outputRef?: PayloadRef | undefined };

/** A result in the JSON form in which the ledger gives it back. Throws `payload_too_large` naming `what`. */
export function resultJson(what: string, value: unknown): string {
  const json = (JSON.stringify(value) as string | undefined) ?? 'null';
  const bytes = Buffer.byteLength(json);
  if (bytes > maxResultBytes) {
    throw new FlowstateError('payload_too_large', `${what} is ${bytes} bytes as JSON, over ${maxResultBytes}`);
  }
  return json;
}

/**
 * Is the result stored on its own, before anything that refers to it is recorded? The journal stays small then, and
 * events can be streamed.
 */
export function isLarge(json: string): boolean {
  return Buffer.byteLength(json) > maxInlineBytes;
}
