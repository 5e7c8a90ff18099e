import { Readable } from 'node:stream';
import { BulkProgress, Id, invalidInput, liveStates, OneOf, Timestamp, type BulkLine } from '@flowstate/contracts';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { operatorOf } from '../audit-trail.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { toKnownError, toProblem } from '../problem.ts';
import { changeRuns } from '../runs/bulk-change.ts';
import { TextFilter } from './crm-filters.ts';

const filterFields = ['workflow', 'state', 'tag', 'scheduleId', 'createdAfter', 'createdBefore', 'ids'] as const;

function Body<const S extends readonly string[]>(states: S) {
  return Type.Object(
    {
      workflow: Type.Optional(TextFilter),
      state: Type.Optional(OneOf(states)),
      tag: Type.Optional(TextFilter),
      scheduleId: Type.Optional(Id),
      createdAfter: Type.Optional(Timestamp),
      createdBefore: Type.Optional(Timestamp),
      ids: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 1_000 })),
      dryRun: Type.Optional(Type.Boolean({ description: 'Only say how many runs match' })),
    },
    { additionalProperties: false },
  );
}

const actions = [
  ['cancel', 'Cancel all runs that match, and their children', Body(liveStates)],
  ['retry', 'Retry all failed runs that match, from their failed steps', Body(['failed'])],
] as const;

/** Cancelling and retrying by filter. */
export function bulkRunRoutes(
  app: App,
  { runs, sql, audit, draining, streams }: Pick<Deps, 'runs' | 'sql' | 'audit' | 'draining' | 'streams'>,
): void {
  for (const [action, summary, body] of actions) {
    app.post(
      `/api/runs/${action}`,
      {
        schema: {
          tags: ['runs'],
          summary,
          description:
            'At least one field of the filter is required; of several, all must match. The answer is NDJSON, read it ' +
            'as it comes: a line a batch with the totals so far and what failed in it, the last one with `done: true`, ' +
            'or an `error` line. Runs named in `ids` that cannot be changed are told as failed. Who hangs up, or may ' +
            'do so no more, ends it after the batch under way; asking again goes on.',
          body,
          response: { 200: { content: { 'application/x-ndjson': { schema: Type.Unsafe<unknown>(BulkProgress) } } } },
        },
      },
      async (request, reply) => {
        const { dryRun = false, ...filter } = request.body;
        if (filterFields.every((field) => filter[field] === undefined)) {
          throw invalidInput([{ field: 'body', message: `must have at least one of ${filterFields.join(', ')}` }]);
        }
        const left = new AbortController();
        reply.raw.once('close', () => left.abort());
        const signal = AbortSignal.any([left.signal, draining]);
        const changes = changeRuns({ sql, runs, action, filter, principal: principalOf(request), dryRun, signal });
        // One entry for all of them: who ended or retried a run stands in its own events.
        const recorded = thenTell(changes, ({ matched = 0, changed = 0, done }) => {
          const { id: actor, details: by } = operatorOf(request);
          const { ids, ...asked } = filter;
          const details = { ...asked, ...(ids && { named: ids.length }), matched, changed, ...by };
          audit.record({ action: `run.${action}`, actor, outcome: done ? 'success' : 'failed', details });
        });
        const steps = streams.whileAllowed(request, dryRun ? changes : recorded);
        // What goes wrong before anything was changed is answered with its status.
        const lines = toLines(await steps.next(), steps, request);
        return reply.type('application/x-ndjson; charset=utf-8').send(Readable.from(lines, { objectMode: false }));
      },
    );
  }
}

/** The same steps; however they end, `tell` hears of the last. */
async function* thenTell(
  steps: AsyncGenerator<BulkProgress, void>,
  tell: (last: Partial<BulkProgress>) => void,
): AsyncGenerator<BulkProgress, void> {
  let last: Partial<BulkProgress> = {};
  try {
    for await (const step of steps) {
      last = step;
      yield step;
    }
  } finally {
    tell(last);
  }
}

async function* toLines(
  first: IteratorResult<BulkProgress, void>,
  steps: AsyncGenerator<BulkProgress>,
  request: FastifyRequest,
): AsyncGenerator<string> {
  const line = (value: BulkLine) => `${JSON.stringify(value)}\n`;
  try {
    if (!first.done) yield line(first.value);
    for await (const step of steps) yield line(step);
  } catch (error) {
    const known = toKnownError(error as Error);
    if (known.code === 'internal') request.log.error({ err: error as Error }, 'bulk change failed');
    yield line({ error: toProblem(request, known) });
  }
}
