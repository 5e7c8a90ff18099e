import {
  FlowstateError,
  FollowUp,
  FollowUpInput,
  invalidInput,
  Page,
  pageQuery,
  storableErrors,
} from '@flowstate/contracts';
import { addFollowUp, findFollowUp, listFollowUps } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { isSubject } from '../runs/subject-customers.ts';
import { CustomerParams, mustFindCustomerId, present } from './crm-filters.ts';

const tags = ['crm'];
const path = '/api/customers/:id/follow-ups';
const Headers = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 1_024, description: 'Same key and body: the same follow-up, for good' }),
  ),
});

/** What is to be done for a customer, as people and agents leave it. */
export function followUpRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  app.post(
    path,
    {
      schema: {
        tags,
        summary: 'Leave something to be done for a customer',
        description:
          '201 when it is new, 200 when that `Idempotency-Key` made it before. An agent leaves them with the customers ' +
          'its run was started for, and with nobody else.',
        params: CustomerParams,
        headers: Headers,
        body: FollowUpInput,
        response: { 200: FollowUp, 201: FollowUp },
      },
    },
    async (request, reply) => {
      const { id: principalId, via } = principalOf(request);
      const { body } = request;
      const problems = Object.entries(body).flatMap(([field, value]) => storableErrors(value, field));
      if (problems.length > 0) throw invalidInput(problems);
      const key = request.headers['idempotency-key'] ?? null;
      const runId = 'run' in via ? via.run : null;
      const customerId = await mustFindCustomerId(sql, request.params.id);
      if (runId !== null && !(await isSubject(sql, runId, customerId))) {
        throw new FlowstateError('forbidden', 'The run was not started for this customer');
      }
      const added = await addFollowUp(sql, { ...body, customerId, principalId, runId, key });
      if (added === 'conflict') {
        throw new FlowstateError('conflict', 'This Idempotency-Key was used for another follow-up', {
          errors: [{ field: 'idempotency-key', message: 'was used for another follow-up' }],
        });
      }
      return reply.code(added.created ? 201 : 200).send(present(await findFollowUp(sql, added.id)));
    },
  );

  app.get(
    path,
    {
      schema: {
        tags,
        summary: "A customer's follow-ups, newest first",
        params: CustomerParams,
        querystring: Type.Object({ ...pageQuery }),
        response: { 200: Page(FollowUp) },
      },
    },
    async ({ params, query: { cursor, limit = 50 } }) => {
      const before = readIdCursor(cursor);
      const customerId = await mustFindCustomerId(sql, params.id);
      return toPage(await listFollowUps(sql, { customerId, before, limit: limit + 1 }), limit, ({ id }) => id);
    },
  );
}
