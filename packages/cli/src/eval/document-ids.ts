import type { Document } from '@flowstate/contracts';
import type { GatewayClient } from '../gateway-client.ts';
import { Refused } from '../gateway-client.ts';
import { CommandError } from '../terminal.ts';

/**
 * The input with every `{"$documents": ["KB-1", …]}` in it replaced by the ids of the documents with these external ids:
 * a dataset cannot know ids that each installation makes for itself. Throws `CommandError` for one that is not there.
 */
export async function withDocumentIds(client: GatewayClient, value: unknown, line: number): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Promise.all(value.map((item) => withDocumentIds(client, item, line)));
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === '$documents' && Array.isArray(only[1])) {
    return Promise.all(only[1].map((externalId) => idOf(client, String(externalId), line)));
  }
  const replaced = entries.map(async ([name, inner]) => [name, await withDocumentIds(client, inner, line)] as const);
  return Object.fromEntries(await Promise.all(replaced));
}

async function idOf(client: GatewayClient, externalId: string, line: number): Promise<string> {
  try {
    return (await client.request<Document>('GET', `/api/documents/${encodeURIComponent(externalId)}`)).id;
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    throw new CommandError(`line ${line}: there is no document ${externalId} (npm start brings the sample documents)`);
  }
}
