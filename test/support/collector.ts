import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Test } from 'tap';
import { holdPort } from './held-port.ts';
import { readTraces, type CollectedSpan } from './otlp.ts';

export type Collector = {
  url: string;
  spans: CollectedSpan[];
  /** Requests that came, taken or not. */
  requests(): number;
  /** Resolves once what came `fits`. */
  until(fits: (spans: readonly CollectedSpan[]) => boolean): Promise<void>;
  /** From now on: takes what comes, answers nothing at all, or is gone. */
  become(state: 'well' | 'hanging' | 'gone'): Promise<void>;
};

/** The far end of traces: takes OTLP over HTTP as protobuf, can hang, go away and come back under the same address. */
export async function startCollector(t: Pick<Test, 'teardown'>): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const waiting = new Set<() => void>();
  const held = new Set<ServerResponse>();
  let requests = 0;
  let hangs = false;
  const port = await holdPort();
  let server: Server | undefined;

  async function rise(): Promise<void> {
    if (server !== undefined) return;
    server = createServer((request, response) => {
      void (async () => {
        const body = await buffer(request);
        requests += 1;
        if (request.url !== '/v1/traces') response.writeHead(404).end();
        else if (hangs) held.add(response);
        else {
          spans.push(...readTraces(body));
          response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
        }
        for (const wake of waiting) wake();
      })().catch(() => response.destroy()); // its sender was killed while it spoke
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }

  async function fall(): Promise<void> {
    const falling = server;
    server = undefined;
    if (falling === undefined) return;
    falling.closeAllConnections();
    falling.close();
    await once(falling, 'close');
  }

  await rise();
  t.teardown(fall);
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    requests: () => requests,
    until: (fits) =>
      new Promise((resolve) => {
        const check = () => {
          if (!fits(spans)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    async become(state) {
      hangs = state === 'hanging';
      if (!hangs) for (const response of held) response.destroy();
      held.clear();
      await (state === 'gone' ? fall() : rise());
    },
  };
}
