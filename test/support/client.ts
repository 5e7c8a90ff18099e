import { createParser } from 'eventsource-parser';

export type Answer<T = Record<string, unknown>> = { status: number; headers: Headers; body: T };

export type Client = ReturnType<typeof createClient>;

/** A client of the HTTP API as a stranger would write one. */
export function createClient(url: string, token?: string) {
  async function call<T = Record<string, unknown>>(
    method: string,
    path: string,
    { body, headers = {}, signal }: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Answer<T>> {
    const response = await fetch(new URL(path, url), {
      method,
      ...(signal && { signal }),
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && typeof body !== 'string' && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json =
      /json/.test(response.headers.get('content-type') ?? '') &&
      !/ndjson/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as T };
  }

  return {
    url,
    token,
    get: <T = Record<string, unknown>>(path: string, headers: Record<string, string> = {}) =>
      call<T>('GET', path, { headers }),
    post: <T = Record<string, unknown>>(path: string, body?: unknown, headers: Record<string, string> = {}) =>
      call<T>('POST', path, { body, headers }),
    call,
    async login(email: string, password: string) {
      const { status, body } = await call<{ accessToken: string }>('POST', '/api/auth/login', {
        body: { email, password },
      });
      if (status !== 200) throw new Error(`login of ${email} answered ${status}: ${JSON.stringify(body)}`);
      return createClient(url, body.accessToken);
    },
    /** Server-sent events of a run until the stream ends. */
    async *events(
      runId: string,
      lastEventId?: string,
      signal?: AbortSignal,
    ): AsyncGenerator<{ id?: string; event?: string; data: Record<string, unknown> }> {
      const response = await fetch(new URL(`/api/runs/${runId}/events`, url), {
        ...(signal && { signal }),
        headers: {
          authorization: `Bearer ${token}`,
          ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
        },
      });
      if (!response.ok || response.body === null) throw new Error(`events answered ${response.status}`);
      const queue: { id?: string; event?: string; data: Record<string, unknown> }[] = [];
      const parser = createParser({
        onEvent: ({ id, event, data }) =>
          queue.push({
            ...(id !== undefined && { id }),
            ...(event !== undefined && { event }),
            data: JSON.parse(data),
          }),
      });
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        parser.feed(chunk);
        yield* queue.splice(0);
      }
    },
  };
}
