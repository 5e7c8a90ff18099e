import { Customer, CustomerInput, FlowstateError, Page, pageQuery } from '@flowstate/contracts';
import { findCustomer, listCustomers, upsertCustomers } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { createBodyReader } from '../import/body-reader.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { CustomerParams, isNew, storeDescription } from './crm-filters.ts';

const ListQuery = Type.Object({ ...pageQuery });
const readBody = createBodyReader(CustomerInput);

/** Customers; what is known about each is in the routes of its own. */
export function customerRoutes(app: App, { sql }: Pick<Deps, 'sql'>): void {
  const tags = ['crm'];

  app.get(
    '/api/customers',
    { schema: { tags, summary: 'Customers, newest first', querystring: ListQuery, response: { 200: Page(Customer) } } },
    async ({ query: { cursor, limit = 50 } }) => {
      const found = await listCustomers(sql, { before: readIdCursor(cursor), limit: limit + 1 });
      return toPage(found, limit, (customer) => customer.id);
    },
  );

  app.post(
    '/api/customers',
    {
      schema: {
        tags,
        summary: 'Store a customer',
        description: storeDescription,
        body: CustomerInput,
        response: { 200: Customer, 201: Customer },
      },
      // The handler reads it the way an import does.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const row = readBody(request.body);
      const created = isNew(await upsertCustomers(sql, [row]));
      const customer = await mustRead(row.externalId);
      return reply
        .code(created ? 201 : 200)
        .header('location', `/api/customers/${customer.id}`)
        .send(customer);
    },
  );

  app.get(
    '/api/customers/:id',
    {
      schema: {
        tags,
        summary: 'One customer, by its id or external id',
        params: CustomerParams,
        response: { 200: Customer },
      },
    },
    async (request) => mustRead(request.params.id),
  );

  async function mustRead(anyId: string): Promise<Customer> {
    const customer = await findCustomer(sql, anyId);
    if (customer === null) throw new FlowstateError('not_found', 'There is no such customer');
    return customer;
  }
}
