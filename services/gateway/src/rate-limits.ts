import { callbackify } from 'node:util';
import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit';
import { FlowstateError } from '@flowstate/contracts';
import type { AttemptCounter } from './attempts.ts';
import type { App } from './gateway-app.ts';

/** For routes anybody may call and that cost much: `config: { rateLimit: openRouteLimit }`, counted by address. */
export const openRouteLimit = { max: 120, timeWindow: 60_000 };

/** Lets routes state a rate limit, counted by `attempts`. Register before the routes. */
export async function registerRateLimits(app: App, attempts: AttemptCounter): Promise<void> {
  const hit = callbackify(attempts.hit);
  class Store implements FastifyRateLimitStore {
    incr(key: string, done: Parameters<FastifyRateLimitStore['incr']>[1], windowMs: number): void {
      hit(`address:${key}`, windowMs, done);
    }
    child(): FastifyRateLimitStore {
      return this;
    }
  }
  await app.register(rateLimit, {
    global: false,
    store: Store,
    errorResponseBuilder: (_request, { ttl }) =>
      new FlowstateError('rate_limited', 'Too many requests from this address', { retryAfter: Math.ceil(ttl / 1000) }),
  });
}
