import {
  ContainBody,
  Containment,
  ContainmentReceipt,
  Page,
  pageQuery,
  ReleaseBody,
  ReleaseReceipt,
} from '@flowstate/contracts';
import { listContainments } from '@flowstate/store';
import Type from 'typebox';
import { markAudited, operatorOf } from '../audit-trail.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';

const tags = ['admin'];
const ListQuery = Type.Object({
  ...pageQuery,
  all: Type.Optional(Type.Boolean({ description: 'Released ones too' })),
});

/** Everything taken from a user in one step, and given back what can be. */
export function adminContainRoutes(app: App, { sql, containments }: Pick<Deps, 'sql' | 'containments'>): void {
  app.get(
    '/api/admin/contain',
    {
      schema: { tags, summary: 'Containments in force', querystring: ListQuery, response: { 200: Page(Containment) } },
    },
    async (request) => {
      const { limit = 50, cursor, all = false } = request.query;
      const found = await listContainments(sql, { all, before: readIdCursor(cursor), limit: limit + 1 });
      return toPage(found, limit, ({ id }) => id);
    },
  );

  app.post(
    '/api/admin/contain',
    {
      schema: {
        tags,
        summary: 'Contain a user: sessions, keys, streams and runs',
        description:
          'Answers once every gateway and worker obeys, or after two seconds, with those that do not yet. Runs are put ' +
          'in quarantine: they neither run nor end. Again it finishes what was left.',
        body: ContainBody,
        response: { 200: ContainmentReceipt },
      },
    },
    async (request) => {
      const receipt = await containments.contain({ ...request.body, by: operatorOf(request) });
      markAudited(request);
      return receipt;
    },
  );

  app.post(
    '/api/admin/contain/release',
    {
      schema: {
        tags,
        summary: 'Release a contained user: their runs go on, sessions and keys stay revoked',
        body: ReleaseBody,
        response: { 200: ReleaseReceipt },
      },
    },
    async (request) => {
      const receipt = await containments.release({ ...request.body, by: operatorOf(request) });
      markAudited(request);
      return receipt;
    },
  );
}
