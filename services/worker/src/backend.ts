import { setTimeout as wait } from 'node:timers/promises';
import { createCheck, FlowstateError, httpStatus, RunTokenAnswer, type ErrorCode } from '@flowstate/contracts';
import type { Backend, BackendRequest } from '@flowstate/workflow';
import { inSpan, spendOnBackend } from '@flowstate/tracing';
import type { TSchema } from 'typebox';

type Options = {
  gatewayUrl: string;
  workerApiKey: string;
  incarnation: () => number;
  onRequest?: (request: { operation: string; status: string; seconds: number }) => void;
};

const tries = 5;
const timeoutMs = 30_000;
const codeOfStatus = new Map<number, ErrorCode>(
  Object.entries(httpStatus).map(([code, status]) => [status, code as ErrorCode]),
);
const checkToken = createCheck(RunTokenAnswer, { root: 'run token' });

/** May the run go on in its owner's name? `lost`: it is another worker's by now. */
export type Authority = 'granted' | 'refused' | 'lost';

/** The gateway as one run sees it. */
export type RunBackend = {
  call: Backend;
  /** Asks whether the run's owner may (still) run it. Throws `unavailable` when the gateway cannot say. */
  authority(): Promise<Authority>;
};

/**
 * The gateway as a run's agents reach it: with a short-lived token that carries the authority of whoever started the
 * run. Answers are checked against their schema. Outages (connection refused, 429, 502 to 504) are tried again with
 * backoff; refusals become errors with the gateway's own code.
 */
export function createBackend({ gatewayUrl, workerApiKey, incarnation, onRequest = () => {} }: Options) {
  const checks = new WeakMap<TSchema, (value: unknown) => unknown>();

  async function send(operation: string, url: URL, init: RequestInit): Promise<Response> {
    const begun = performance.now();
    const done = (status: string) => {
      const ms = performance.now() - begun;
      spendOnBackend(operation, ms);
      onRequest({ operation, status, seconds: ms / 1000 });
    };
    try {
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
      const response = await fetch(url, { ...init, signal });
      done(String(response.status));
      return response;
    } catch (error) {
      done(init.signal?.aborted ? 'aborted' : 'unreachable');
      init.signal?.throwIfAborted();
      throw new FlowstateError('unavailable', `The gateway does not answer (${operation})`, { cause: error });
    }
  }

  async function withTries<T>(once: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof FlowstateError) || !error.retryable || attempt >= tries) throw error;
        await wait((error.retryAfter ?? 0.1 * 2 ** attempt) * 1000 * (0.5 + Math.random() / 2), undefined, { signal });
      }
    }
  }

  /** A backend for one run, good for as long as this worker owns it. */
  return function backendFor(runId: string, runSignal: AbortSignal): RunBackend {
    let token: Promise<{ value: string; expiresAt: number }> | undefined;

    async function fetchToken() {
      const response = await send('run-token', new URL('/api/internal/run-tokens', gatewayUrl), {
        method: 'POST',
        headers: { authorization: `Bearer ${workerApiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ runId, incarnation: incarnation() }),
        signal: runSignal,
      });
      if (!response.ok) throw await toError(response, 'run-token');
      const answer = checkToken(await response.json());
      return { value: answer.token, expiresAt: Date.now() + answer.expiresIn * 1000 };
    }

    async function currentToken(): Promise<string> {
      const current = await token?.catch(() => undefined);
      if (current && current.expiresAt - Date.now() > 10_000) return current.value;
      token = fetchToken();
      return (await token).value;
    }

    async function once<T extends TSchema>(request: BackendRequest<T>, signal: AbortSignal): Promise<unknown> {
      const { operation, method = 'GET', path, query = {}, body, idempotencyKey, response: schema } = request;
      const url = new URL(path, gatewayUrl);
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) url.searchParams.set(name, String(value));
      const response = await send(operation, url, {
        method,
        signal,
        headers: {
          authorization: `Bearer ${await currentToken()}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) {
        if (response.status === 401) token = undefined; // expired early or re-decided: the next try asks anew
        throw await toError(response, operation);
      }
      let check = checks.get(schema);
      if (check === undefined) checks.set(schema, (check = createCheck(schema, { root: operation })));
      return check(await response.json());
    }

    return {
      call: ((request, signal = runSignal) =>
        inSpan(`backend ${request.operation}`, {}, () => withTries(() => once(request, signal), signal))) as Backend,
      async authority() {
        try {
          await withTries(currentToken, runSignal);
          return 'granted';
        } catch (error) {
          const code = error instanceof FlowstateError ? error.code : undefined;
          if (code === 'forbidden') return 'refused';
          if (code === 'conflict') return 'lost';
          throw error;
        }
      },
    };
  };
}

async function toError(response: Response, operation: string): Promise<FlowstateError> {
  const problem = (await response.json().catch(() => ({}))) as { code?: ErrorCode; detail?: string };
  const code = problem.code ?? codeOfStatus.get(response.status) ?? 'upstream_failed';
  const retryAfter = Number(response.headers.get('retry-after')) || undefined;
  return new FlowstateError(code, `${operation}: ${problem.detail ?? `HTTP ${response.status}`}`, {
    retryable: [401, 429, 502, 503, 504].includes(response.status),
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
