import { hash } from 'node:crypto';
import type { SearchKind, SearchWeights } from '@flowstate/contracts';
import type { Collection } from '@flowstate/store';
import { LRUCache } from 'lru-cache';

type Question = {
  kind: SearchKind;
  query: string;
  weights: SearchWeights | undefined;
  exact: boolean;
  filter: Record<string, unknown>;
  threshold: number;
  limit: number;
  model: string;
  /** Of what is searched (`validityOf`). */
  validity: string;
};

/** Printable ASCII with single spaces within: as most queries are. */
const isNormal = /^[!-~]+(?: [!-~]+)*$/;

/** Spellings that mean the same to every model: spaces and Unicode composition, but not case. */
export function normaliseQuery(query: string): string {
  if (isNormal.test(query)) return query;
  return query.toWellFormed().normalize('NFC').replace(/\s+/gu, ' ').trim();
}

/** What stands for the query where a document asks: its content may change while its collection is not searched. */
export function documentQuery(id: string, embedding: readonly number[]): string {
  return `${id} ${hash('sha256', JSON.stringify(embedding), 'base64url')}`;
}

/**
 * Covers everything an answer depends on. The collections' versions are part of it, so whatever is written to one of
 * them makes its cached answers unreachable; nothing needs to be found and deleted.
 */
export function cacheKey({ kind, query, weights, exact, filter, threshold, limit, model, validity }: Question): string {
  const balance = weights && [weights.vector, weights.text];
  const parts = [kind, query, balance, exact, sorted(filter), threshold, limit, model, validity];
  return keyOf(JSON.stringify(parts));
}

/** What is asked again and again: hashing it costs more than everything else about a key. */
const known = new LRUCache<string, string>({ max: 2_000 });
/** Characters; texts with embeddings in them are longer, and are hardly asked twice. */
const longestKnown = 1_000;

function keyOf(text: string): string {
  let key = known.get(text);
  if (key === undefined) {
    // In braces: an answer and its lock are on one node of a cluster.
    key = `vector-search:{${hash('sha256', text, 'base64url')}}`;
    if (text.length <= longestKnown) known.set(text, key);
  }
  return key;
}

/**
 * What makes cached answers end at once, and the only place that knows: exactly what the asker sees at this moment, each
 * with its version and access epoch. Taken access shortens the list, any change of access raises the epoch, a write or
 * a cleared cache the version; neither is ever the same again. Askers with equal lists share answers.
 */
export function validityOf(collections: Pick<Collection, 'name' | 'version' | 'accessEpoch'>[]): string {
  const list = collections.map(({ name, version, accessEpoch }) => [name, version, accessEpoch]);
  return hash('sha256', JSON.stringify(list), 'base64url');
}

/** Objects with their keys in one order, at every level. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]));
}
