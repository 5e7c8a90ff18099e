import { Readable } from 'node:stream';
import { FlowstateError, type Principal, type Role } from '@flowstate/contracts';
import type { PolicyWatch } from '@flowstate/security';
import { readStanding, type Sql } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import { principalOf } from './access.ts';
import type { AccessRules, Route } from './access-rules.ts';

export type OpenStreams = {
  /** A long answer begins; `signal` aborts once its reader may have it no longer. */
  open(request: FastifyRequest): { signal: AbortSignal; close(): void };
  /** The same of work that is answered step by step: no step more once its asker may not have it; throws `forbidden`. */
  whileAllowed<T>(request: FastifyRequest, steps: AsyncGenerator<T, void>): AsyncGenerator<T, void>;
  /** The same of what is only read: broken off, with all that was read and not yet sent, once its reader may not have it. */
  readWhileAllowed(request: FastifyRequest, pages: AsyncGenerator<string, void>): Readable;
  /** Ends all of a user; how many there were. */
  closeOf(userId: string): number;
  stop(): void;
};

type Stream = {
  principal: Principal;
  route: Route;
  over: AbortController;
  /** The key of the token that opened it; undefined for an API key. */
  kid: string | undefined;
  /** Policy epoch by which it may go on. */
  epoch: number | undefined;
};

type Options = {
  sql: Sql;
  policy: PolicyWatch;
  accessRules: Pick<AccessRules, 'allows'>;
  onError: (error: unknown) => void;
};

/**
 * Answers that go on for long, each asked about again whenever access changes: whether the login, key or run that opened
 * it is still good, and may still read this. One statement for all of them.
 */
export function createOpenStreams({ sql, policy, accessRules, onError }: Options): OpenStreams {
  const streams = new Set<Stream>();
  let reviewing = false;

  async function review(): Promise<void> {
    for (const stream of streams) {
      const { id, via } = stream.principal;
      // Whoever counts the streams of a containment ends them.
      if (isContained(id)) continue;
      const dead = stream.kid !== undefined && policy.isKilledKey(stream.kid);
      if (dead || ('session' in via && policy.isRevoked(via.session))) end(stream);
    }
    const epoch = policy.appliedEpoch();
    const asked = [...streams].filter((stream) => stream.epoch !== epoch && !isContained(stream.principal.id));
    if (asked.length === 0 || reviewing) return;
    reviewing = true;
    try {
      const standing = await readStanding(sql, credentialsOf(asked));
      for (const stream of asked) {
        if (!mayStay(stream, standing)) end(stream);
        stream.epoch = epoch;
      }
    } finally {
      reviewing = false;
    }
  }

  const isContained = (id: string) => policy.contained().some(({ userId }) => userId === id);

  function mayStay({ principal, route }: Stream, standing: ReadonlyMap<string, Role>): boolean {
    // With another role they may see other runs: who still may read this one opens it again.
    if (standing.get(credentialOf(principal)) !== principal.role) return false;
    return accessRules.allows(principal.role, route);
  }

  function end(stream: Stream): void {
    streams.delete(stream);
    stream.over.abort();
  }

  const unsubscribe = policy.onApplied(() => void review().catch(onError));

  const openStreams: OpenStreams = {
    open(request) {
      const { method, routeOptions, params } = request;
      const route = { method, pattern: routeOptions.url ?? '', params: params as Record<string, unknown> };
      const principal = principalOf(request);
      // It was let in by an epoch that may be over by now: the next review asks.
      const kid = request.authority?.kid;
      const stream = { principal, route, over: new AbortController(), kid, epoch: principal.epoch };
      streams.add(stream);
      if (isContained(principal.id)) end(stream);
      return { signal: stream.over.signal, close: () => void streams.delete(stream) };
    },
    async *whileAllowed(request, steps) {
      const { signal, close } = openStreams.open(request);
      try {
        for await (const step of steps) {
          yield step;
          if (signal.aborted) throw accessChanged();
        }
      } finally {
        close();
      }
    },
    readWhileAllowed(request, pages) {
      const { signal, close } = openStreams.open(request);
      // By bytes: of small pages a slow reader would otherwise keep many waiting.
      const answer = Readable.from(pages, { objectMode: false });
      const breakOff = () => answer.destroy(accessChanged());
      // Nobody who reads slowly, or not at all, keeps it open.
      signal.addEventListener('abort', breakOff, { once: true });
      if (signal.aborted) breakOff();
      answer.once('close', close);
      return answer;
    },
    closeOf(userId) {
      const own = [...streams].filter(({ principal }) => principal.id === userId);
      for (const stream of own) end(stream);
      return own.length;
    },
    stop: unsubscribe,
  };
  return openStreams;
}

function accessChanged(): FlowstateError {
  return new FlowstateError('forbidden', 'Access has changed meanwhile: this ends here');
}

function credentialOf({ via }: Principal): string {
  return 'session' in via ? via.session : 'apiKey' in via ? via.apiKey : via.run;
}

function credentialsOf(streams: readonly Stream[]): Record<'sessions' | 'keys' | 'runs', string[]> {
  const vias = streams.map(({ principal }) => principal.via);
  return {
    sessions: vias.flatMap((via) => ('session' in via ? via.session : [])),
    keys: vias.flatMap((via) => ('apiKey' in via ? via.apiKey : [])),
    runs: vias.flatMap((via) => ('run' in via ? via.run : [])),
  };
}
