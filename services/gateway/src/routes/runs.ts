import {
  FlowstateError,
  Id,
  IdParams,
  OneOf,
  Page,
  pageQuery,
  Run,
  runStates,
  Step,
  Timestamp,
  WholeList,
} from '@flowstate/contracts';
import { listRuns, readPayload, readSteps } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { toApiRun } from '../runs/api-run.ts';
import { seesAllRuns } from '../runs/run-service.ts';
import { TextFilter } from './crm-filters.ts';

const RunQuery = Type.Object({
  ...pageQuery,
  workflow: Type.Optional(TextFilter),
  state: Type.Optional(OneOf(runStates)),
  tag: Type.Optional(TextFilter),
  scheduleId: Type.Optional(Id),
  createdAfter: Type.Optional(Timestamp),
  createdBefore: Type.Optional(Timestamp),
});

/** Reading runs. */
export function runRoutes(app: App, { runs, sql }: Pick<Deps, 'runs' | 'sql'>): void {
  const tags = ['runs'];

  app.get(
    '/api/runs',
    { schema: { tags, summary: 'Runs, newest first', querystring: RunQuery, response: { 200: Page(Run) } } },
    async (request) => {
      const { limit = 50, cursor, ...filter } = request.query;
      const principal = principalOf(request);
      const principalId = seesAllRuns(principal) ? undefined : principal.id;
      const found = await listRuns(sql, { ...filter, principalId, before: readIdCursor(cursor), limit: limit + 1 });
      const page = toPage(found, limit, ({ id }) => id);
      return { ...page, items: page.items.map((run) => toApiRun(run, principal)) };
    },
  );

  app.get(
    '/api/runs/:id',
    { schema: { tags, summary: 'One run', params: IdParams, response: { 200: Run } } },
    async (request) => {
      const principal = principalOf(request);
      return toApiRun(await runs.read(request.params.id, principal), principal);
    },
  );

  app.get(
    '/api/runs/:id/steps',
    {
      schema: {
        tags,
        summary: 'Recorded steps of a run, oldest first',
        params: IdParams,
        response: { 200: WholeList(Step) },
      },
    },
    async (request) => {
      const run = await runs.read(request.params.id, principalOf(request));
      return { items: await readSteps(sql, run.id), nextCursor: null };
    },
  );

  app.get(
    '/api/runs/:id/payloads/:ref',
    {
      schema: {
        tags,
        summary: 'A large result that lists and events show as `{ref, bytes}`',
        params: Type.Object({ ...IdParams.properties, ref: Type.String({ maxLength: 64 }) }),
        response: { 200: { content: { 'application/json': { schema: Type.Unknown() } } } },
      },
    },
    async (request, reply) => {
      const run = await runs.read(request.params.id, principalOf(request));
      const json = await readPayload(sql, run.id, request.params.ref);
      if (json === null) throw new FlowstateError('not_found', `The run has no payload ${request.params.ref}`);
      return reply
        .type('application/json; charset=utf-8')
        .serializer((text: string) => text)
        .send(json);
    },
  );
}
