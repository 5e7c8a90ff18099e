import { FlowstateError, type ErrorCode } from '@flowstate/contracts';
import type { ApiKeyRefusal, SessionRefusal } from '@flowstate/security';
import type { FastifyRequest } from 'fastify';
import type { TokenRefusal } from './tokens.ts';

/** Everything an authentication can fail for: the `reason` of the log line and of `auth_failures_total`. */
export type AuthFailure =
  | TokenRefusal
  | SessionRefusal
  | ApiKeyRefusal
  | 'missing'
  | 'session_mismatch'
  | 'run_not_owned'
  | 'worker_key'
  | 'wrong_kind'
  | 'origin'
  | 'credentials'
  | 'throttled'
  | 'refresh_unknown'
  | 'refresh_reused';

/** All of them; one that is missing does not compile. */
export const authFailureReasons = Object.keys({
  malformed: true,
  algorithm: true,
  unknown_kid: true,
  killed_kid: true,
  signature: true,
  expired: true,
  not_yet_valid: true,
  claims: true,
  session_missing: true,
  session_revoked: true,
  session_expired: true,
  user_disabled: true,
  api_key_unknown: true,
  api_key_ended: true,
  missing: true,
  session_mismatch: true,
  run_not_owned: true,
  worker_key: true,
  wrong_kind: true,
  origin: true,
  credentials: true,
  throttled: true,
  refresh_unknown: true,
  refresh_reused: true,
} satisfies Record<AuthFailure, true>);

/** Told of every refusal, so that it is counted and audited. */
export type OnAuthFailure = (
  reason: AuthFailure,
  failure: Details & { address: string; method: string; route: string | undefined },
) => void;

type Details = {
  /** Who it claims to be, where a signature or a record proved at least that. */
  userId?: string;
  sessionId?: string;
};

/** Logs and counts a refusal and makes its answer, which says no more than the caller may know. */
export function authenticationFailed(
  request: FastifyRequest,
  reason: AuthFailure,
  onFailure: OnAuthFailure,
  details: Details = {},
): FlowstateError {
  const { method, routeOptions, ip } = request;
  onFailure(reason, { method, route: routeOptions.url, address: ip, ...details });
  request.log.warn({ reason, method, route: routeOptions.url, address: ip, ...details }, 'Authentication failed');
  const [code, message] = answers[reason] ?? ['invalid_token', 'The token is not valid, or no longer'];
  return new FlowstateError(code, message);
}

/** The others are one and the same to whoever asks. */
const answers: Partial<Record<AuthFailure, [ErrorCode, string]>> = {
  missing: ['invalid_token', 'This needs an access token'],
  session_mismatch: ['session_mismatch', 'The token does not belong to its session'],
  origin: ['forbidden', 'A page of another origin may not do this'],
  wrong_kind: ['forbidden', 'This needs a login session'],
  credentials: ['invalid_credentials', 'Email or password is wrong'],
};
