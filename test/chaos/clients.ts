import { setTimeout as wait } from 'node:timers/promises';
import { createClient, type Answer } from '@flowstate/test';
import type { Role } from '@flowstate/contracts';
import type { Random } from '../support/random.ts';
import type { Findings } from './findings.ts';

type Request = { body?: unknown; headers?: Record<string, string>; allow?: readonly number[]; at?: number };

/** A client that knows both gateways: when one does not answer it asks the other. */
export type Client = {
  role: Role;
  /**
   * Asks until there is an answer that is neither an outage nor a request to wait; only for what may be asked twice.
   * Any status outside `allow` (200 unless said otherwise) is a finding.
   */
  call<T = Record<string, unknown>>(method: string, path: string, request?: Request): Promise<Answer<T>>;
  /** Asks once; null when nobody knows whether it was taken. */
  once<T = Record<string, unknown>>(method: string, path: string, request?: Request): Promise<Answer<T> | null>;
  /** Events of a run after `lastSeq`, from whichever gateway answers, until that stream ends or breaks off. */
  events(runId: string, lastSeq: number, signal?: AbortSignal): ReturnType<ReturnType<typeof createClient>['events']>;
};

type Options = {
  urls: readonly string[];
  role: Role;
  password: string;
  random: Random;
  findings: Findings;
  /** Aborts when this part of the suite gives up. */
  signal: () => AbortSignal;
};

/** A gateway that says nothing for this long is as good as dead. */
const answerWithinMs = 20_000;
/** An access token lasts 15 minutes; a careful client renews it before. */
const renewAfterMs = 10 * 60_000;

type Session = { accessToken: string; refreshToken: string; since: number };

export async function logIn(options: Options): Promise<Client> {
  const { urls, role, password, random, findings, signal } = options;
  let session: Session = await open('/api/auth/login', { email: `${role}@flowstate.local`, password });
  let renewing: Promise<Session> | undefined;

  async function open(path: string, body: unknown): Promise<Session> {
    const { status, body: tokens } = await createClient(random.pick(urls)).call<Session>('POST', path, {
      body,
      signal: signal(),
    });
    if (status !== 200) throw new Error(`${path} as ${role} answered ${status}: ${JSON.stringify(tokens)}`);
    return { ...tokens, since: Date.now() };
  }

  async function token(): Promise<string> {
    if (Date.now() - session.since > renewAfterMs) {
      // A refresh token may be used once: whoever does not hear the answer has to log in again.
      renewing ??= open('/api/auth/refresh', { refreshToken: session.refreshToken })
        .catch(() => open('/api/auth/login', { email: `${role}@flowstate.local`, password }))
        .then((renewed) => (session = renewed))
        .catch(() => session)
        .finally(() => (renewing = undefined));
      await renewing;
    }
    return session.accessToken;
  }

  async function once<T>(method: string, path: string, { body, headers, at }: Request = {}): Promise<Answer<T> | null> {
    const url = urls[(at ?? random.between(0, urls.length - 1)) % urls.length] as string;
    const client = createClient(url, await token());
    const patience = AbortSignal.any([signal(), AbortSignal.timeout(answerWithinMs)]);
    const answer = await client
      .call<T>(method, path, { body, ...(headers && { headers }), signal: patience })
      .catch(() => null);
    signal().throwIfAborted();
    if (answer === null || answer.status === 503) return null;
    if ([401, 403, 500, 502].includes(answer.status)) {
      findings.add(`${method} ${path} as ${role} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    return answer;
  }

  return {
    role,
    once,
    async call<T>(method: string, path: string, request: Request = {}): Promise<Answer<T>> {
      const first = request.at ?? random.between(0, urls.length - 1);
      for (let attempt = 0; ; attempt++) {
        const answer = await once<T>(method, path, { ...request, at: first + attempt });
        if (answer !== null && answer.status !== 429) {
          if (!(request.allow ?? [200]).includes(answer.status)) {
            findings.add(`${method} ${path} as ${role} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
          }
          return answer;
        }
        await wait(politeMs(attempt, random), undefined, { signal: signal() });
      }
    },
    async *events(runId, lastSeq, until = signal()) {
      yield* createClient(random.pick(urls), await token()).events(runId, String(lastSeq), until);
    },
  };
}

/** How long a client waits before it asks again: doubling, with jitter. */
export function politeMs(attempt: number, random: Random): number {
  return Math.round(Math.min(1_000, 25 * 2 ** attempt) * (0.5 + random.next() / 2));
}
