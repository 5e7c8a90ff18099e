import { setTimeout as wait } from 'node:timers/promises';
import { createClient, type Answer } from './client.ts';

type Tokens = { accessToken: string; refreshToken: string };

/** What clients saw: answers by status, and how often a gateway took no connection, or broke one off. */
export type LoadCount = {
  statuses: Record<number, number>;
  refused: number;
  broken: string[];
  /** What answers other than 200 said. */
  problems: string[];
};

export type RequestLoad = {
  count(): LoadCount;
  /** Resolves once every client has had so many more answers. */
  answers(more: number): Promise<void>;
  /** Has every client trade its tokens for new ones, and resolves once they have. */
  refresh(): Promise<void>;
  stop(): Promise<LoadCount>;
};

/** The machine must be left to the gateways that start meanwhile. */
const paceMs = 10;

/**
 * Clients that are logged in and ask a hundred times a second at most, each request at the next of several gateways. One that takes no
 * connection is left out for that request, as a load balancer would; everything that was answered counts.
 */
export async function startRequestLoad(
  urls: readonly string[],
  { clients, logIn }: { clients: number; logIn: (url: string) => Promise<Tokens> },
): Promise<RequestLoad> {
  const count: LoadCount = { statuses: {}, refused: 0, broken: [], problems: [] };
  const perClient = Array.from({ length: clients }, () => ({ answers: 0, refreshes: 0, wanted: 0 }));
  const waiting = new Set<() => void>();
  const stopped = new AbortController();

  async function ask(first: number, send: (url: string) => Promise<Answer>): Promise<Answer | undefined> {
    for (let tried = 0; tried < urls.length; tried++) {
      try {
        const answer = await send(urls[(first + tried) % urls.length] as string);
        count.statuses[answer.status] = (count.statuses[answer.status] ?? 0) + 1;
        if (answer.status !== 200) count.problems.push(String(answer.body['detail']));
        return answer;
      } catch (error) {
        const { code = String(error) } = ((error as Error).cause ?? error) as { code?: string };
        if (code === 'ECONNREFUSED') count.refused += 1;
        else count.broken.push(code);
      }
    }
    return undefined;
  }

  async function run(own: (typeof perClient)[number], start: number): Promise<void> {
    let tokens = await logIn(urls[start % urls.length] as string);
    for (let n = start; !stopped.signal.aborted; n++) {
      if (own.refreshes < own.wanted) {
        const body = { refreshToken: tokens.refreshToken };
        const answer = await ask(n, (url) => createClient(url).post('/api/auth/refresh', body));
        if (answer?.status === 200) tokens = answer.body as Tokens;
        own.refreshes += 1;
      } else {
        await ask(n, (url) => createClient(url, tokens.accessToken).get('/api/auth/me'));
      }
      own.answers += 1;
      for (const wake of waiting) wake();
      await wait(paceMs);
    }
  }

  function until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!holds()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  }
  const running = Promise.all(perClient.map(run));
  return {
    count: () => structuredClone(count),
    answers(more) {
      const wanted = perClient.map(({ answers }) => answers + more);
      return until(() => perClient.every(({ answers }, i) => answers >= (wanted[i] as number)));
    },
    refresh() {
      for (const own of perClient) own.wanted = own.refreshes + 1;
      return until(() => perClient.every(({ refreshes, wanted }) => refreshes >= wanted));
    },
    async stop() {
      stopped.abort();
      await running;
      return count;
    },
  };
}
