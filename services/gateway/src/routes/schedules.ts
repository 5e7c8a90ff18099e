import { IdParams, Page, pageQuery, Run, Schedule, ScheduleBody, SchedulePatch } from '@flowstate/contracts';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { toApiRun } from '../runs/api-run.ts';

/** Runs that start by themselves. */
export function scheduleRoutes(app: App, { schedules, runs }: Pick<Deps, 'schedules' | 'runs'>): void {
  const tags = ['schedules'];

  app.post(
    '/api/schedules',
    { schema: { tags, summary: 'Start a workflow again and again', body: ScheduleBody, response: { 201: Schedule } } },
    async (request, reply) => {
      const schedule = await schedules.create(request.body, principalOf(request));
      return reply.header('location', `/api/schedules/${schedule.id}`).code(201).send(schedule);
    },
  );

  app.get(
    '/api/schedules',
    {
      schema: {
        tags,
        summary: 'Schedules, newest first',
        querystring: Type.Object({ ...pageQuery }),
        response: { 200: Page(Schedule) },
      },
    },
    async ({ query: { cursor, limit = 50 } }) =>
      toPage(await schedules.list({ before: readIdCursor(cursor), limit: limit + 1 }), limit, ({ id }) => id),
  );

  app.get(
    '/api/schedules/:id',
    { schema: { tags, summary: 'One schedule', params: IdParams, response: { 200: Schedule } } },
    async ({ params }) => schedules.read(params.id),
  );

  app.patch(
    '/api/schedules/:id',
    {
      schema: {
        tags,
        summary: 'Pause, resume or edit a schedule',
        description:
          '`enabled: false` pauses, `true` resumes; due times in between are not made up for. Whoever edits anything ' +
          'else becomes its owner, for whom it runs.',
        params: IdParams,
        body: SchedulePatch,
        response: { 200: Schedule },
      },
    },
    async (request) => schedules.edit(request.params.id, request.body, principalOf(request)),
  );

  app.delete(
    '/api/schedules/:id',
    {
      schema: {
        tags,
        summary: 'Delete a schedule; its runs stay',
        params: IdParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await schedules.remove(request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/api/schedules/:id/trigger',
    { schema: { tags, summary: 'Fire a schedule now, out of turn', params: IdParams, response: { 202: Run } } },
    async (request, reply) => {
      const principal = principalOf(request);
      const run = await runs.read(await schedules.trigger(request.params.id), principal);
      return reply.header('location', `/api/runs/${run.id}`).code(202).send(toApiRun(run, principal));
    },
  );
}
