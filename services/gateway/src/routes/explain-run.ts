import { IdParams, RunExplanation } from '@flowstate/contracts';
import { readEvents } from '@flowstate/store';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { explainRun } from '../runs/explain/explain-run.ts';

/** Where one run's time and cost went. */
export function explainRunRoute(app: App, { runs, sql }: Pick<Deps, 'runs' | 'sql'>): void {
  app.get(
    '/api/runs/:id/explain',
    {
      schema: {
        tags: ['runs'],
        summary: 'Where the time and the cost of a run went',
        params: IdParams,
        response: { 200: RunExplanation },
      },
    },
    async (request) => {
      const run = await runs.read(request.params.id, principalOf(request));
      return explainRun(run, await readEvents(sql, run.id), Date.now());
    },
  );
}
