import { FlowstateError } from '@flowstate/contracts';
import type { FastifyRequest } from 'fastify';
import type { Authenticator } from './access.ts';
import { within } from './deadline.ts';
import { probePaths } from './probe-paths.ts';
import type { RequestRates } from './request-rates.ts';

/**
 * The same authenticator with rates: a principal has its share of requests a minute, an address its share of those
 * nobody answers for. Agents acting for a run, and workers, are bounded by how much runs at a time instead.
 */
export function limited(authenticator: Authenticator, rates: RequestRates): Authenticator {
  /** A proof that failed counts against the address; a good one passes, whoever else shares it. */
  function tried(request: FastifyRequest, error: unknown): never {
    if (error instanceof FlowstateError && ['invalid_token', 'session_mismatch'].includes(error.code)) {
      rates.countAddress(request.ip);
      rates.checkAddress(request.ip);
    }
    throw error;
  }

  return {
    async authenticate(request) {
      try {
        const proof = authenticator.authenticate(request);
        // Where the answer may take longer than usual, the proof may not.
        const principal = await (request.routeOptions.config.deadlineMs === undefined ? proof : within(proof));
        if (!('run' in principal.via)) rates.countPrincipal(principal.id);
        return principal;
      } catch (error) {
        return tried(request, error);
      }
    },
    authenticateWorker(request) {
      try {
        authenticator.authenticateWorker(request);
      } catch (error) {
        tried(request, error);
      }
    },
    pass(request) {
      if (probePaths.has(request.routeOptions.url ?? '')) return;
      rates.countAddress(request.ip);
      rates.checkAddress(request.ip);
    },
  };
}
