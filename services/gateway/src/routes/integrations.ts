import { Integration, IntegrationInput, Page, pageQuery } from '@flowstate/contracts';
import { findIntegration, listIntegrations, upsertIntegrations } from '@flowstate/store';
import Type, { type Static } from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { createBodyReader } from '../import/body-reader.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { CustomerParams, customerFilter, isNew, mustFindCustomerId, present, storeDescription } from './crm-filters.ts';

const CustomerQuery = Type.Object({ ...pageQuery });
const ListQuery = Type.Object({ ...pageQuery, ...customerFilter });
const readBody = createBodyReader(IntegrationInput);

/** The systems of a customer that are connected to ours. */
export function integrationRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  const tags = ['crm'];
  const response = { 200: Page(Integration) };

  async function list({ cursor, limit = 50 }: Static<typeof CustomerQuery>, customer: string | undefined) {
    const before = readIdCursor(cursor);
    const customerId = customer === undefined ? undefined : await mustFindCustomerId(sql, customer);
    return toPage(await listIntegrations(sql, { customerId, before, limit: limit + 1 }), limit, ({ id }) => id);
  }

  app.get(
    '/api/integrations',
    { schema: { tags, summary: 'Integrations, newest first', querystring: ListQuery, response } },
    async ({ query }) => list(query, query.customer),
  );

  app.get(
    '/api/customers/:id/integrations',
    {
      schema: {
        tags,
        summary: "A customer's integrations, newest first",
        params: CustomerParams,
        querystring: CustomerQuery,
        response,
      },
    },
    async ({ query, params }) => list(query, params.id),
  );

  app.post(
    '/api/integrations',
    {
      schema: {
        tags,
        summary: 'Store an integration',
        description: storeDescription,
        body: IntegrationInput,
        response: { 200: Integration, 201: Integration },
      },
      // The handler reads it the way an import does.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const row = readBody(request.body);
      const created = isNew(await upsertIntegrations(sql, [row]));
      return reply.code(created ? 201 : 200).send(present(await findIntegration(sql, row.externalId)));
    },
  );
}
