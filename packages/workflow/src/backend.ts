import type { Static, TSchema } from 'typebox';

/** One call of the platform's API with the authority of whoever started the run. */
export type BackendRequest<T extends TSchema> = {
  /** Bounded name for metrics and traces, e.g. `interactions.list`. */
  operation: string;
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path below the gateway, e.g. `/api/customers/C-0001`. Encode its parts. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Sent as `Idempotency-Key`: a call repeated with it takes effect once. */
  idempotencyKey?: string;
  /** The answer is checked against this. */
  response: T;
};

/** Port through which agents reach data: never the database, always the gateway. */
export type Backend = <T extends TSchema>(request: BackendRequest<T>, signal?: AbortSignal) => Promise<Static<T>>;
