import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export type Recorder = {
  url: string;
  /** Paths called so far, in order: `runId/step`. */
  calls: string[];
  /** Resolves when `path` has been called `times` times. */
  called(path: string, times?: number): Promise<void>;
  /** Calls of this path are held until released. */
  hold(path: string): void;
  release(path: string): void;
};

/** Stands outside the system and counts what it really did. Answers every call with 1. */
export async function startRecorder(t: Pick<Test, 'teardown'>): Promise<Recorder> {
  const calls: string[] = [];
  const held = new Map<string, ServerResponse[]>();
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1);
    calls.push(path);
    const step = path.split('/').at(-1) ?? '';
    const queue = held.get(step);
    if (queue) queue.push(response);
    else response.end('1');
    for (const wake of waiting) wake();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    called(path, times = 1) {
      return new Promise((resolve) => {
        const check = () => {
          if (calls.filter((call) => call === path || call.endsWith(`/${path}`)).length < times) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
    hold: (path) => void held.set(path, []),
    release(path) {
      const queue = held.get(path) ?? [];
      held.delete(path);
      for (const response of queue) response.end('1');
    },
  };
}
