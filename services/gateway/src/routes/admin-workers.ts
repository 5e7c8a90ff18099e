import { LiveWorker, WholeList } from '@flowstate/contracts';
import { liveWorkers } from '@flowstate/store';
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
        response: { 200: WholeList(LiveWorker) },
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
