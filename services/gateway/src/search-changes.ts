import type { ScopeEpoch } from '@flowstate/search';
import type { App } from './gateway-app.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Does the route read what searches may find, or change it: documents, collections, who sees them? */
    search?: 'reads' | 'changes';
  }
  interface FastifyRequest {
    /** Of a route that reads. */
    searchEpoch: Promise<string | undefined> | undefined;
  }
}

/**
 * Nobody is answered before every gateway knows that searches may find something else now. Whether there was such a
 * change, one who searches asks while being proved: Redis answers both at once.
 */
export function followSearchChanges(app: App, epoch: ScopeEpoch): void {
  app.decorateRequest('searchEpoch', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.routeOptions.config.search === 'reads') request.searchEpoch = epoch.read();
    done();
  });
  app.addHook('onRoute', (route) => {
    if (route.config?.search !== 'changes') return;
    // Errors too: some of it may have been committed.
    route.onSend = [
      async () => {
        await epoch.changed();
      },
      ...[route.onSend ?? []].flat(),
    ];
  });
}
