import { bearerToken } from '@flowstate/runtime';
import type { FastifyRequest } from 'fastify';

export const sessionCookie = 'flowstate_session';
/** Where browsers send the cookie, and nowhere else: the pages, and the event streams a page may open. */
export const cookiePaths = ['/admin', '/api/runs'] as const;

export type Credential = { from: 'header' | 'cookie'; value: string };

/** What a request proves itself with; a header always counts before a cookie. `malformed`: a header without a token. */
export function credentialOf(request: FastifyRequest): Credential | 'malformed' | undefined {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const token = bearerToken(authorization);
    return token === undefined ? 'malformed' : { from: 'header', value: token };
  }
  const value = acceptsCookie(request) ? request.cookies[sessionCookie] : undefined;
  return value ? { from: 'cookie', value } : undefined;
}

function acceptsCookie({ method, routeOptions: { url = '' } }: FastifyRequest): boolean {
  return isPage(url) || (method === 'GET' && url === '/api/runs/:id/events');
}

/** Routes made for people with a browser. */
export function isPage(pattern: string): boolean {
  return pattern.startsWith('/admin/');
}

/**
 * Was this sent by a page of ours? Browsers name the origin on every write. `undefined` when the request does not
 * say, as programs other than browsers do not.
 */
export function isSameOrigin(request: FastifyRequest): boolean | undefined {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  if (origin === undefined) return site === undefined ? undefined : true;
  if (!URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  // Both through the same parser, which drops a default port.
  const own = `${protocol}//${request.host}`;
  return URL.canParse(own) && new URL(own).host === host;
}

/** Browsers keep a Secure cookie only over https, which a developer's loopback address has not. */
export function needsSecureCookie({ hostname, protocol }: FastifyRequest): boolean {
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  return protocol === 'https' || !loopback;
}
