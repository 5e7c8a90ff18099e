import { BaseRate, Opportunity, OpportunityInput, Page, pageQuery } from '@flowstate/contracts';
import { findOpportunity, listOpportunities, readBaseRates, upsertOpportunities } from '@flowstate/store';
import Type, { type Static } from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { createBodyReader } from '../import/body-reader.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import {
  CustomerParams,
  customerFilter,
  isNew,
  mustFindCustomerId,
  present,
  storeDescription,
  TextFilter,
} from './crm-filters.ts';

const filters = {
  ...pageQuery,
  closed: Type.Optional(Type.Boolean({ description: 'true: won or lost' })),
  product: Type.Optional(TextFilter),
  owner: Type.Optional(TextFilter),
  stage: Type.Optional(TextFilter),
};
const CustomerQuery = Type.Object(filters);
const ListQuery = Type.Object({ ...filters, ...customerFilter });
const readBody = createBodyReader(OpportunityInput);

/** Opportunities and the win counts over all of them. */
export function opportunityRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  const tags = ['crm'];
  const response = { 200: Page(Opportunity) };

  async function list({ cursor, limit = 50, ...filter }: Static<typeof CustomerQuery>, customer: string | undefined) {
    const before = readIdCursor(cursor);
    const customerId = customer === undefined ? undefined : await mustFindCustomerId(sql, customer);
    const stage = filter.stage?.toLowerCase();
    const found = await listOpportunities(sql, { ...filter, stage, customerId, before, limit: limit + 1 });
    return toPage(found, limit, (opportunity) => opportunity.id);
  }

  app.get(
    '/api/opportunities',
    { schema: { tags, summary: 'Opportunities, newest first', querystring: ListQuery, response } },
    async ({ query: { customer, ...query } }) => list(query, customer),
  );

  app.get(
    '/api/customers/:id/opportunities',
    {
      schema: {
        tags,
        summary: "A customer's opportunities, newest first",
        params: CustomerParams,
        querystring: CustomerQuery,
        response,
      },
    },
    async ({ query, params }) => list(query, params.id),
  );

  app.get(
    '/api/opportunities/base-rates',
    {
      schema: {
        tags,
        summary: 'Closed and won opportunities by stage, product, owner and age',
        response: { 200: Type.Object({ items: Type.Array(BaseRate) }) },
      },
    },
    async () => ({ items: await readBaseRates(sql) }),
  );

  app.post(
    '/api/opportunities',
    {
      schema: {
        tags,
        summary: 'Store an opportunity',
        description: storeDescription,
        body: OpportunityInput,
        response: { 200: Opportunity, 201: Opportunity },
      },
      // The handler reads it the way an import does.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const row = readBody(request.body);
      const created = isNew(await upsertOpportunities(sql, [row]));
      return reply.code(created ? 201 : 200).send(present(await findOpportunity(sql, row.externalId)));
    },
  );
}
