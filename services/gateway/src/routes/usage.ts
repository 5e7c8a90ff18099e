import { Page, toUsd, Usage, UsageQuery } from '@flowstate/contracts';
import { readUsage, type UsageLine } from '@flowstate/store';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readCursor, readIdCursor, toPage, wrongCursor } from '../list-page.ts';
import { seesAllRuns } from '../runs/run-service.ts';

/** What language models used and cost: of everybody's runs for who sees them all, of their own for the others. */
export function usageRoute(app: App, { sql }: Pick<Deps, 'sql'>): void {
  app.get(
    '/api/usage',
    {
      schema: {
        tags: ['usage'],
        summary: 'Tokens and cost of language models by day, principal, workflow, model or run',
        querystring: UsageQuery,
        response: { 200: Page(Usage) },
      },
    },
    async (request) => {
      const { limit = 50, cursor, by, principalId, ...filter } = request.query;
      const principal = principalOf(request);
      // Nobody learns of others, not even whether they are there.
      if (!seesAllRuns(principal) && principalId !== undefined && principalId !== principal.id) {
        return { items: [], nextCursor: null };
      }
      const of = seesAllRuns(principal) ? principalId : principal.id;
      const after = cursorOf(by, cursor);
      const found = await readUsage(sql, {
        ...filter,
        by,
        ...(of !== undefined && { principalId: of }),
        after,
        limit: limit + 1,
      });
      return toPage(found.map(toUsage), limit, ({ key }) => key);
    },
  );
}

function toUsage({ microUsd, reservedMicroUsd, ...line }: UsageLine): Usage {
  const { calls, unpricedCalls } = line;
  return {
    ...line,
    costUsd: calls > 0 && unpricedCalls === calls ? null : toUsd(microUsd),
    reservedUsd: toUsd(reservedMicroUsd),
  };
}

/** The key after which the list goes on. */
function cursorOf(by: UsageQuery['by'], cursor: string | undefined): string | undefined {
  if (by === 'run' || by === 'principal') return readIdCursor(cursor);
  if (by !== 'day') return cursor;
  const day = readCursor(cursor, /^\d{4}-\d\d-\d\d$/);
  if (day !== undefined && Number.isNaN(Date.parse(day))) throw wrongCursor();
  return day;
}
