import { findCustomerId, type Sql } from '@flowstate/store';
import { ruleOf } from '../access-rows.ts';
import { access } from '../routes/index.ts';
import type { EntityLookup } from './entity-references.ts';

/** What an input field marked `x-flowstate-entity` may refer to, and who may read it: those who may GET it. */
export function storedEntities(sql: Sql): EntityLookup {
  return {
    customer: {
      exists: async (id) => (await findCustomerId(sql, id)) !== null,
      readers: [ruleOf(access, 'GET', '/api/customers/:id') ?? []]
        .flat()
        .filter((rule) => rule !== 'open' && rule !== 'worker'),
    },
  };
}
