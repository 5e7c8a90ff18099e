import { LiveWorker } from '@flowstate/contracts';
import { liveWorkers } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

/** Worker processes that live, each with the address it publishes. */
export function adminWorkerRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  app.get(
    '/api/admin/workers',
    {
      schema: {
        tags: ['admin'],
        summary: 'Workers that live, and where each can be asked',
        response: { 200: Type.Object({ items: Type.Array(LiveWorker), nextCursor: Type.Null() }) },
      },
    },
    async () => {
      const items = (await liveWorkers(sql)).map(({ served: _served, startedAt, heartbeatAt, ...worker }) => ({
        ...worker,
        startedAt: startedAt.toISOString(),
        heartbeatAt: heartbeatAt.toISOString(),
      }));
      return { items, nextCursor: null };
    },
  );
}
