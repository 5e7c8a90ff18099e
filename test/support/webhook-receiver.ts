import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import type { Test } from 'tap';

export type Received = { path: string; headers: IncomingHttpHeaders; body: string };

export type WebhookReceiver = {
  url: string;
  port: number;
  /** Everything that arrived, in order. */
  calls: Received[];
  /** Resolves with the first `count` calls of `path`. */
  received(path: string, count?: number): Promise<Received[]>;
  /** How calls of `path` are answered; 204 unless said otherwise. */
  answer(path: string, how: HowToAnswer): void;
};

type HowToAnswer = (response: ServerResponse, call: number, received: Received) => void;

/** The far end of webhooks: a real HTTP server that keeps what it was sent. */
export async function startWebhookReceiver(t: Pick<Test, 'teardown'>, port = 0): Promise<WebhookReceiver> {
  const calls: Received[] = [];
  const answers = new Map<string, HowToAnswer>();
  const waiting = new Set<() => void>();
  const of = (path: string) => calls.filter((call) => call.path === path);
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '';
      const received = { path, headers: request.headers, body: await text(request) };
      calls.push(received);
      const answer = answers.get(path);
      if (answer) answer(response, of(path).length, received);
      else response.writeHead(204).end();
      for (const wake of waiting) wake();
    })().catch(() => response.destroy()); // its sender was killed while it spoke
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    calls,
    received(path, count = 1) {
      return new Promise((resolve) => {
        const check = () => {
          const found = of(path);
          if (found.length < count) return;
          waiting.delete(check);
          resolve(found.slice(0, count));
        };
        waiting.add(check);
        check();
      });
    },
    answer: (path, how) => void answers.set(path, how),
  };
}

/** The body of a call, verified by Standard Webhooks' own library; throws unless signature and time are right. */
export function verifyWebhook(secret: string, { headers, body }: Pick<Received, 'headers' | 'body'>): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>);
}
