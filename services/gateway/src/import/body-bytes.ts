import type { Readable } from 'node:stream';

/**
 * The file as it arrives. What is left when an import ends early is read and thrown away: unread, it would hold up the
 * next request of the connection.
 */
export async function* bytesOf(body: Readable): AsyncGenerator<Uint8Array> {
  try {
    yield* body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } finally {
    body.resume();
  }
}
