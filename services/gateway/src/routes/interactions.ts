import { Interaction, InteractionInput, Page, pageQuery, Timestamp } from '@flowstate/contracts';
import { findInteraction, listInteractions, upsertInteractions } from '@flowstate/store';
import Type, { type Static } from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { createBodyReader } from '../import/body-reader.ts';
import { readTimeCursor, toPage, toTimeCursor } from '../list-page.ts';
import { CustomerParams, customerFilter, isNew, mustFindCustomerId, present, storeDescription } from './crm-filters.ts';

const filters = { ...pageQuery, since: Type.Optional(Timestamp) };
const CustomerQuery = Type.Object(filters);
const ListQuery = Type.Object({ ...filters, ...customerFilter });
const readBody = createBodyReader(InteractionInput);

/** What was said between a customer and us. */
export function interactionRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  const tags = ['crm'];
  const response = { 200: Page(Interaction) };

  async function list({ cursor, since, limit = 50 }: Static<typeof CustomerQuery>, customer: string | undefined) {
    const before = readTimeCursor(cursor);
    const customerId = customer === undefined ? undefined : await mustFindCustomerId(sql, customer);
    const from = since === undefined ? undefined : new Date(since).toISOString();
    return toPage(
      await listInteractions(sql, { customerId, since: from, before, limit: limit + 1 }),
      limit,
      toTimeCursor,
    );
  }

  app.get(
    '/api/interactions',
    { schema: { tags, summary: 'Interactions, latest first', querystring: ListQuery, response } },
    async ({ query }) => list(query, query.customer),
  );

  app.get(
    '/api/customers/:id/interactions',
    {
      schema: {
        tags,
        summary: "A customer's interactions, latest first",
        params: CustomerParams,
        querystring: CustomerQuery,
        response,
      },
    },
    async ({ query, params }) => list(query, params.id),
  );

  app.post(
    '/api/interactions',
    {
      schema: {
        tags,
        summary: 'Store an interaction',
        description: storeDescription,
        body: InteractionInput,
        response: { 200: Interaction, 201: Interaction },
      },
      // The handler reads it the way an import does.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const row = readBody(request.body);
      const created = isNew(await upsertInteractions(sql, [row]));
      return reply.code(created ? 201 : 200).send(present(await findInteraction(sql, row.externalId)));
    },
  );
}
