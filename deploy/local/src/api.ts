import type { TokenAnswer } from '@flowstate/contracts';
import { EventSourceParserStream } from 'eventsource-parser/stream';

/** The gateway as any client sees it; the token of a login goes with every request. */
export type Api = {
  request<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
  /** The response's body as it comes, for answers of many lines. */
  stream(method: string, path: string, options?: RequestOptions): Promise<ReadableStream<Uint8Array>>;
  /** Server-sent events; `lastId` resumes after that event. Ends when the server ends it. */
  events(
    path: string,
    lastId: string | undefined,
  ): AsyncIterable<{ id: string | undefined; event: string; data: string }>;
};

type RequestOptions = { json?: unknown; body?: string; headers?: Record<string, string> };

/** Logs in; throws with the API's own words when it refuses. */
export async function login(baseUrl: string, email: string, password: string, signal: AbortSignal): Promise<Api> {
  let token: string | undefined;

  async function send(method: string, path: string, { json, body, headers }: RequestOptions = {}): Promise<Response> {
    const response = await fetch(new URL(path, baseUrl), {
      method,
      signal,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
      ...(body !== undefined && { body }),
    });
    if (response.ok) return response;
    const problem = await response.text();
    throw new Error(`${method} ${path} answered ${response.status}: ${problem.slice(0, 500)}`);
  }

  const api: Api = {
    async request(method, path, options) {
      return (await (await send(method, path, options)).json()) as never;
    },
    async stream(method, path, options) {
      const { body } = await send(method, path, options);
      if (!body) throw new Error(`${method} ${path} answered nothing`);
      return body;
    },
    async *events(path, lastId) {
      const body = await api.stream('GET', path, { headers: lastId === undefined ? {} : { 'last-event-id': lastId } });
      const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      for await (const { id, event, data } of events) yield { id, event: event ?? 'message', data };
    },
  };
  token = (await api.request<TokenAnswer>('POST', '/api/auth/login', { json: { email, password } })).accessToken;
  return api;
}
