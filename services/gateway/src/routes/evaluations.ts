import {
  Evaluation,
  EvaluationBody,
  EvaluationDetail,
  FlowstateError,
  IdParams,
  invalidInput,
  Page,
  pageQuery,
  summarize,
} from '@flowstate/contracts';
import { insertEvaluation, listEvaluations, readEvaluation, type StoredEvaluation } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { seesAllRuns } from '../runs/run-service.ts';

const tags = ['evaluations'];

/** How well workflows did on datasets, as `flowstate eval` tells it. */
export function evaluationRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  app.post(
    '/api/evaluations',
    {
      schema: {
        tags,
        summary: 'Keep the results of an evaluation',
        description: 'They are what whoever ran it says; the figures of the summary are computed here.',
        body: EvaluationBody,
        response: { 201: Evaluation },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const seen = new Set<string>();
      for (const [index, { id }] of body.cases.entries()) {
        if (seen.has(id)) throw invalidInput([{ field: `cases.${index}.id`, message: `is given twice: ${id}` }]);
        seen.add(id);
      }
      const principal = principalOf(request);
      const kept = await insertEvaluation(sql, {
        ...body,
        summary: summarize(body.cases),
        principalId: principal.id,
      });
      return reply.header('location', `/api/evaluations/${kept.id}`).code(201).send(shown(kept));
    },
  );

  app.get(
    '/api/evaluations',
    {
      schema: {
        tags,
        summary: 'Evaluations, newest first',
        querystring: Type.Object({
          ...pageQuery,
          workflow: Type.Optional(Type.String({ maxLength: 64 })),
          datasetHash: Type.Optional(EvaluationBody.properties.datasetHash),
          model: Type.Optional(Type.String({ maxLength: 200, description: 'A language model that answered in it' })),
        }),
        response: { 200: Page(Evaluation) },
      },
    },
    async (request) => {
      const { cursor, limit = 50, ...filter } = request.query;
      const principal = principalOf(request);
      const principalId = seesAllRuns(principal) ? undefined : principal.id;
      const found = await listEvaluations(sql, {
        ...filter,
        principalId,
        before: readIdCursor(cursor),
        limit: limit + 1,
      });
      const page = toPage(found, limit, ({ id }) => id);
      return { ...page, items: page.items.map(shown) };
    },
  );

  app.get(
    '/api/evaluations/:id',
    {
      schema: {
        tags,
        summary: 'One evaluation, with its cases',
        params: IdParams,
        response: { 200: EvaluationDetail },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const found = await readEvaluation(sql, request.params.id);
      if (found === null || !(seesAllRuns(principal) || found.principalId === principal.id)) {
        throw new FlowstateError('not_found', `There is no evaluation ${request.params.id}`);
      }
      return { ...shown(found), cases: found.cases };
    },
  );
}

function shown<T extends StoredEvaluation>(evaluation: T): Omit<T, 'createdAt'> & { createdAt: string } {
  return { ...evaluation, createdAt: evaluation.createdAt.toISOString() };
}
