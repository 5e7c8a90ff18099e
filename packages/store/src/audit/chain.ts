import { createHash } from 'node:crypto';

/** What a seal commits to of an entry: everything but the data a person may have erased, of which the hashes count. */
export type ChainedEntry = {
  id: string;
  at: Date;
  action: string;
  actor: string | null;
  subject: string | null;
  outcome: string;
  details: string | null;
  personal: string | null;
};

export type Seal = {
  number: number;
  sealedAt: Date;
  /** Ids of its entries, in order. */
  entries: string[];
  /** 32 bytes for each entry. */
  digests: Buffer;
  /** Entries sealed so far, these included. */
  total: number;
  previous: Buffer;
  hash: Buffer;
};

/** `previous` of the first seal. */
export const chainStart = Buffer.alloc(32);
export const digestLength = 32;

/** SHA-256 over the entry as a JSON array, which has one spelling only. */
export function entryDigest({ id, at, action, actor, subject, outcome, details, personal }: ChainedEntry): Buffer {
  const canonical = JSON.stringify([id, at.toISOString(), action, actor, subject, outcome, details, personal]);
  return createHash('sha256').update(canonical).digest();
}

/** SHA-256 over the seal before, its own number, time and total, and the id and digest of each entry in order. */
export function sealHash({ number, sealedAt, entries, digests, total, previous }: Omit<Seal, 'hash'>): Buffer {
  const head = JSON.stringify(['flowstate-audit-1', number, sealedAt.toISOString(), total, entries]);
  return createHash('sha256').update(previous).update(head).update(digests).digest();
}

/** The hash by which an entry knows a personal row: without the salt nobody can guess what stood there. */
export function personalHash({ person, salt, data }: { person: string; salt: Buffer; data: string }): string {
  return createHash('sha256')
    .update(salt)
    .update(JSON.stringify([person, data]))
    .digest('hex');
}
