import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';

const everywhere = new Set(['0.0.0.0', '::']);

/** Where others reach this very instance; undefined before it listens. Of several addresses the first one of another machine's view. */
export function ownUrl(
  { HOST, WORKER_URL }: { HOST: string; WORKER_URL?: string },
  bound: AddressInfo | string | null,
): string | undefined {
  if (WORKER_URL !== undefined) return WORKER_URL;
  if (bound === null || typeof bound === 'string') return undefined;
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const host = everywhere.has(HOST) ? (outside?.address ?? '127.0.0.1') : HOST;
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`;
}
