import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { createCheck, SearchHit } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { hitsBytes } from './answer-bytes.ts';

const StoredAnswer = Type.Object({
  hits: Type.Array(SearchHit),
  /** When it was computed, in milliseconds since 1970. */
  at: Type.Number(),
  /** When it expires, likewise. */
  until: Type.Number(),
  /** Milliseconds it took to compute. */
  cost: Type.Number(),
});
export type StoredAnswer = Static<typeof StoredAnswer>;

const check = createCheck(StoredAnswer, { root: 'cached' });
/** Bytes; below, compression costs more than it saves. */
const compressFrom = 2_048;
/** Bytes of JSON; larger answers cost more to move than to compute. */
export const maxBytes = 512 * 1024;
/** Answers are small: most of what compressing them takes is making room for larger ones, unless their size is told. */
const quickly = (bytes: number) => ({
  chunkSize: 4_096,
  pledgedSrcSize: bytes,
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
});
const plain = 0;
const zstd = 1;

/** One byte that names the encoding, then JSON; null when it is too large to be worth keeping. */
export function encodeAnswer({ hits, ...rest }: StoredAnswer): Buffer | null {
  const closing = `,${JSON.stringify(rest).slice(1)}`;
  const json = Buffer.concat([Buffer.from('{"hits":'), hitsBytes(hits), Buffer.from(closing)]);
  if (json.length > maxBytes) return null;
  if (json.length < compressFrom) return Buffer.concat([Buffer.of(plain), json]);
  return Buffer.concat([Buffer.of(zstd), zstdCompressSync(json, quickly(json.length))]);
}

/** Throws on whatever was not written by `encodeAnswer`, and on more than it would have written. */
export function decodeAnswer(bytes: Buffer): StoredAnswer {
  const body = bytes.subarray(1);
  if (bytes[0] === plain) return check(JSON.parse(body.toString()));
  if (bytes[0] !== zstd) throw new Error('an unknown encoding');
  return check(JSON.parse(zstdDecompressSync(body, { maxOutputLength: maxBytes }).toString()));
}

/**
 * Whether to compute an answer anew before it expires: the likelier the nearer its end and the dearer it was, so that
 * askers do not all find it gone at once. XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
 * Stampede Prevention" (VLDB 2015), with beta 1.
 */
export function dueForRefresh({ until, cost }: Pick<StoredAnswer, 'until' | 'cost'>, now: number): boolean {
  return now - cost * Math.log(1 - Math.random()) >= until;
}
