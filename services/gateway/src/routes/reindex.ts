import {
  CollectionName,
  FlowstateError,
  Id,
  invalidInput,
  PendingDocumentsPage,
  ReindexBody,
  ReindexStarted,
  SwitchAnswer,
} from '@flowstate/contracts';
import { abandonReindex, findPending, noteReindexRun, startReindex, switchModel } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const Params = Type.Object({ name: CollectionName });
const PendingQuery = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200 }),
  after: Type.Optional(Id),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 32, default: 32 })),
});
/** All embeddings of a collection are written in one transaction. */
const longestSwitchMs = 30 * 60_000;

/** Embedding a collection anew by another model, while searches go on by the one it has. */
export function reindexRoutes(app: App, deps: Pick<Deps, 'sql' | 'audit' | 'runs' | 'search'>): void {
  const { sql, runs, search } = deps;
  const tags = ['collections'];

  app.post(
    '/api/collections/:name/reindex',
    {
      schema: {
        tags,
        summary: 'Embed a collection anew by another model',
        description:
          'A run computes the new embeddings beside the old ones, by which searches go on. When every document has its ' +
          'own, those written meanwhile included, they take the place of the old ones at once. After a run that was ' +
          'cancelled or failed, another one goes on where it ended. 409 where the model has another dimension in other ' +
          'collections. For the owner and administrators.',
        params: Params,
        body: ReindexBody,
        response: { 202: ReindexStarted },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const [{ name: collection }, { model }] = [request.params, request.body];
      if (!search.models.includes(model)) {
        throw invalidInput([{ field: 'model', message: `must be one of ${search.models.join(', ')}` }]);
      }
      // Of an endpoint that is away nothing is known: the run waits for it, and the switch looks again.
      const dimensions = await search.dimensionsOf(model).catch((err: unknown) => {
        request.log.info({ err, model }, 'reindexing by a model whose dimension is not known');
        return null;
      });
      await recordedChange(deps, request, async (tx, record) => {
        await startReindex(tx, { collection, model, dimensions }, principal);
        await record({ action: 'collection.reindex', subject: collection, details: { model } });
      });
      const input = { collection, model };
      const { run } = await runs.start({ workflow: 'collection-reindex', input, principal });
      await noteReindexRun(sql, collection, run.id);
      reply.header('location', `/api/runs/${run.id}`);
      return reply.code(202).send({ run: { id: run.id, state: run.state } });
    },
  );

  app.delete(
    '/api/collections/:name/reindex',
    {
      schema: {
        tags,
        summary: 'Give up embedding a collection anew',
        description: 'What searches use is untouched; the new embeddings are deleted and the run is cancelled.',
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { name } = request.params;
      const { runId } = await recordedChange(deps, request, async (tx, record) => {
        const given = await abandonReindex(tx, name, principal);
        if (given === undefined) throw new FlowstateError('not_found', `${name} is not being reindexed`);
        await record({ action: 'collection.reindex_abandoned', subject: name });
        return given;
      });
      // It may have ended, or be another person's: then it ends at its next call.
      if (runId !== null) await runs.cancel(runId, principal).catch(() => {});
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/api/collections/:name/reindex/documents',
    {
      schema: {
        tags,
        summary: 'Documents that lack their new embeddings',
        description: 'For the run that reindexes.',
        params: Params,
        querystring: PendingQuery,
        response: { 200: PendingDocumentsPage },
      },
    },
    async (request) => {
      const { limit = 32, ...query } = request.query;
      return findPending(sql, { collection: request.params.name, limit, ...query }, principalOf(request));
    },
  );

  app.post(
    '/api/collections/:name/reindex/switch',
    {
      config: { search: 'changes', deadlineMs: longestSwitchMs },
      schema: {
        tags,
        summary: 'Let the new embeddings take the place of the old ones',
        description: 'For the run that reindexes; safe to repeat.',
        params: Params,
        body: ReindexBody,
        response: { 200: SwitchAnswer },
      },
    },
    async (request) => {
      const wanted = { collection: request.params.name, model: request.body.model };
      return { switched: await switchModel(sql, wanted, principalOf(request)) };
    },
  );
}
