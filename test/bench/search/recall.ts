import type { SearchAnswer } from '@flowstate/contracts';
import type { Client } from '@flowstate/test';
import { collection } from './corpus.ts';

/** Similarities are single precision; as near as this, neither of two is the nearer. */
const tie = 1e-5;

/**
 * Which share of the ten nearest documents the route finds, against all of them compared. A found document counts when
 * it is as near as the tenth, whichever of several equal ones it is.
 */
export async function recallAt10(
  client: Client,
  queries: readonly Float32Array[],
  documents: readonly Float32Array[],
): Promise<number> {
  let found = 0;
  for (const query of queries) {
    const nearest = documents.map((document) => dot(query, document)).toSorted((a, b) => b - a);
    const least = (nearest[9] ?? -1) - tie;
    const body = { embedding: [...query], collection, threshold: -1, limit: 10 };
    const answer = await client.post<SearchAnswer>('/api/search/semantic', body);
    if (answer.status !== 200) throw new Error(`a search answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    found += answer.body.items.filter(({ similarity }) => similarity >= least).length;
  }
  return found / (10 * queries.length);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
