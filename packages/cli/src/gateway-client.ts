import type { Problem, TokenAnswer } from '@flowstate/contracts';
import { CommandError } from './terminal.ts';

export type Credentials = { token: string } | { email: string; password: string };

type RequestOptions = {
  json?: unknown;
  /** Sent as it is read. */
  body?: ReadableStream<Uint8Array>;
  headers?: Record<string, string>;
};

/** Nobody answers at the gateway's address. */
export class GatewayAway extends CommandError {}

/** The gateway answered, with an error status. */
export class Refused extends CommandError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** For what is taken back: where there is nothing to take back, that is done too, and answers undefined. */
export function unlessMissing(error: unknown): undefined {
  if (!(error instanceof Refused && error.status === 404)) throw error;
}

/** The gateway's HTTP API; logs in on first use, and again when the token has expired. */
export type GatewayClient = {
  url: URL;
  /** Throws `CommandError` in the API's own words when it refuses; undefined when the answer has no body. */
  request<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
  /** A token that stands for this login, for commands that this one starts. */
  token(): Promise<string>;
  /** The body as it comes. */
  stream(method: string, path: string, options?: RequestOptions): Promise<ReadableStream<Uint8Array>>;
  /** Ends the session this client began, if any. */
  close(): Promise<void>;
};

export function createGatewayClient(
  url: URL,
  credentials: Credentials,
  { signal, loginMs = 15_000 }: { signal: AbortSignal; loginMs?: number },
): GatewayClient {
  let session: string | undefined;

  async function send(
    method: string,
    path: string,
    token: string | undefined,
    options: RequestOptions,
    until = signal,
  ): Promise<Response> {
    const { json, body, headers } = options;
    const init = {
      method,
      signal: until,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
      ...(body !== undefined && { body, duplex: 'half' as const }),
    };
    try {
      return await fetch(new URL(path, url), init);
    } catch (error) {
      throw unreachable(error);
    }
  }

  function unreachable(error: unknown): unknown {
    if (signal.aborted || error instanceof CommandError) return error;
    const { name, message, cause } = error as Error & { cause?: Error };
    if (name === 'TimeoutError') {
      return new GatewayAway(
        `No answer from ${url.origin} within ${loginMs / 1000} s: something listens there, but does not answer. ` +
          'Commands with --direct go past it.',
      );
    }
    return new GatewayAway(
      `No answer from ${url.origin} (${cause?.message || message}): is Flowstate running there (npm start)? --url names another address.`,
    );
  }

  async function login(): Promise<string> {
    if ('token' in credentials) return credentials.token;
    // Of a gateway that hangs fetch would give up after five minutes only, and a login takes none of them.
    const until = AbortSignal.any([signal, AbortSignal.timeout(loginMs)]);
    const response = await send('POST', '/api/auth/login', undefined, { json: credentials }, until);
    if (!response.ok) throw await refusal(response, `Login as ${credentials.email}`);
    session = ((await response.json()) as TokenAnswer).accessToken;
    return session;
  }

  async function authorised(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    let response = await send(method, path, session ?? (await login()), options);
    // A stream is spent by now; imports log in freshly, so that their token is good for the whole request.
    if (response.status === 401 && session !== undefined && options.body === undefined) {
      response = await send(method, path, await login(), options);
    }
    if (!response.ok) throw await refusal(response, `${method} ${path.split('?')[0]}`);
    return response;
  }

  return {
    url,
    async request(method, path, options) {
      const response = await authorised(method, path, options);
      return (response.status === 204 ? undefined : await response.json()) as never;
    },
    token: async () => session ?? (await login()),
    async stream(method, path, options) {
      const { body } = await authorised(method, path, options);
      if (body === null) throw new CommandError(`${method} ${path} answered nothing`);
      return body;
    },
    async close() {
      if (session === undefined) return;
      const init = {
        method: 'POST',
        headers: { authorization: `Bearer ${session}` },
        signal: AbortSignal.timeout(2_000),
      };
      await fetch(new URL('/api/auth/logout', url), init).catch(() => {}); // it expires by itself
    },
  };
}

/** The API's words as one message: what was refused, why, and which fields. */
async function refusal(response: Response, what: string): Promise<Refused> {
  const text = await response.text();
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    problem = { detail: text.slice(0, 200) };
  }
  return new Refused(`${what} was refused (${response.status}): ${describeProblem(problem)}`, response.status);
}

/** A problem's detail, or its fields one per line where there are several. */
export function describeProblem({ detail, errors = [], requestId }: Partial<Problem>): string {
  const why =
    errors.length > 1
      ? errors.map(({ field, message }) => `\n  ${field} ${message}`).join('')
      : (detail ?? 'no reason given');
  return requestId === undefined ? why : `${why}${errors.length > 1 ? '\n ' : ''} [request ${requestId}]`;
}

/** Did the connection end while an answer was read? `terminated` is undici's word for it. */
export function isBrokenOff(error: unknown): boolean {
  return error instanceof TypeError && error.message === 'terminated';
}
