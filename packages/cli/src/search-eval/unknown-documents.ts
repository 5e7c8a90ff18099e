import type { Document } from '@flowstate/contracts';
import { Refused, type GatewayClient } from '../gateway-client.ts';
import { CommandError } from '../terminal.ts';
import { mapInOrder } from './evaluate-search.ts';
import type { LabelledQuery } from './labelled-queries.ts';

type Place = { id: string; collection: string | undefined };

/** Throws a `CommandError` that names every labelled document the gateway does not know, and the lines that name it. */
export async function refuseUnknownDocuments(client: GatewayClient, queries: readonly LabelledQuery[]): Promise<void> {
  const lines = new Map<string, number[]>();
  const places = new Map<string, Place>();
  for (const { relevant, collection, line } of queries) {
    for (const id of Object.keys(relevant)) {
      const key = JSON.stringify([collection, id]);
      places.set(key, { id, collection });
      lines.set(key, [...(lines.get(key) ?? []), line]);
    }
  }
  const found = await mapInOrder([...places], 4, async ([key, place]) => ({
    key,
    place,
    there: await isThere(client, place),
  }));
  const missing = found.filter(({ there }) => !there);
  if (missing.length === 0) return;
  throw new CommandError(
    [
      'Labelled documents that are not there:',
      ...missing.map(
        ({ key, place: { id, collection } }) =>
          `${id}${collection === undefined ? '' : ` in collection ${collection}`} (line ${lines.get(key)?.join(', ')})`,
      ),
    ].join('\n  '),
  );
}

async function isThere(client: GatewayClient, { id, collection }: Place): Promise<boolean> {
  const query = collection === undefined ? '' : `?${new URLSearchParams({ collection }).toString()}`;
  try {
    await client.request<Document>('GET', `/api/documents/${encodeURIComponent(id)}${query}`);
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return false;
    // Several collections have it.
    if (error instanceof Refused && error.status === 409) return true;
    throw error;
  }
}
