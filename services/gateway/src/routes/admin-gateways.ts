import { LiveGateway, WholeList } from '@flowstate/contracts';
import { liveGateways } from '@flowstate/store';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

/** Gateways that live, this one among them: who adds one wants to see it here, and scraped. */
export function adminGatewayRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  app.get(
    '/api/admin/gateways',
    {
      schema: {
        tags: ['admin'],
        summary: 'Gateways that live',
        response: { 200: WholeList(LiveGateway) },
      },
    },
    async () => {
      const items = (await liveGateways(sql)).map(({ startedAt, seenAt, ...gateway }) => ({
        ...gateway,
        startedAt: startedAt.toISOString(),
        seenAt: seenAt.toISOString(),
      }));
      return { items, nextCursor: null };
    },
  );
}
