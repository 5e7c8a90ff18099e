import { WorkflowEntry, WholeList } from '@flowstate/contracts';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const Params = Type.Object({ name: Type.String({ maxLength: 64 }) });
const Query = Type.Object({
  version: Type.Optional(Type.String({ maxLength: 64, description: 'Default the newest' })),
});

/** The catalogue as workers published it. */
export function workflowRoutes(app: App, { catalogue }: Pick<Deps, 'catalogue'>): void {
  const tags = ['workflows'];
  app.get(
    '/api/workflows',
    {
      schema: {
        tags,
        summary: 'Workflows with their input and output schemas',
        response: { 200: WholeList(WorkflowEntry) },
      },
    },
    async () => ({ items: (await catalogue.list()).map(toEntry), nextCursor: null }),
  );
  app.get(
    '/api/workflows/:name',
    {
      schema: { tags, summary: 'One workflow', params: Params, querystring: Query, response: { 200: WorkflowEntry } },
    },
    async ({ params, query }) => toEntry(await catalogue.get(params.name, query.version)),
  );
}

function toEntry({ name, version, description, queue, input, output, concurrency }: WorkflowEntry): WorkflowEntry {
  return { name, version, description, queue, input, output, ...(concurrency && { concurrency }) };
}
