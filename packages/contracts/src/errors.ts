/** One field of a request that was refused, e.g. `{field: 'input.customerId', message: 'is required'}`. */
export type FieldError = { field: string; message: string };

/** Error code → HTTP status. The one table; every refusal of the system has its code here. */
export const httpStatus = {
  invalid_input: 400,
  invalid_token: 401,
  invalid_credentials: 401,
  /** A cap on tokens or money leaves no room for what was asked. */
  budget_exhausted: 402,
  forbidden: 403,
  session_mismatch: 403,
  not_found: 404,
  conflict: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal: 500,
  upstream_failed: 502,
  unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof httpStatus;

type Options = {
  /** Which fields were wrong, for `invalid_input`. */
  errors?: FieldError[];
  /** May the same call succeed later? Defaults to true for `unavailable`, `timeout`, `rate_limited`. */
  retryable?: boolean;
  /** Seconds after which a retry makes sense (becomes `Retry-After`). */
  retryAfter?: number;
  cause?: unknown;
};

/** The only error class of the system: a code a program can act on, a message a person can. */
export class FlowstateError extends Error {
  override readonly name = 'FlowstateError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly errors: FieldError[] | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: Options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ['unavailable', 'timeout', 'rate_limited'].includes(code);
    this.errors = options.errors;
    this.retryAfter = options.retryAfter ?? (code === 'unavailable' ? 1 : undefined);
  }
}

/** A refusal of bad input that names the field. */
export function invalidInput(errors: FieldError[]): FlowstateError {
  const detail = errors.map((e) => `${e.field} ${e.message}`).join('; ');
  return new FlowstateError('invalid_input', detail, { errors });
}
