import {
  FlowstateError,
  invalidInput,
  isUuid,
  Limit,
  LimitBody,
  LimitKey,
  roles,
  toLimit,
  WholeList,
} from '@flowstate/contracts';
import { deleteLimit, listLimits, putLimit, readUser } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];

/**
 * How much each principal and workflow may have at a time, and what a search may ask for; gateways and the controller
 * follow within a second.
 */
export function adminLimitRoutes(
  app: App,
  { sql, audit, catalogue, admission }: Pick<Deps, 'sql' | 'audit' | 'catalogue' | 'admission'>,
): void {
  app.get(
    '/api/admin/limits',
    {
      schema: {
        tags,
        summary: 'Limits that were set',
        response: { 200: WholeList(Limit) },
      },
    },
    async () => ({ items: await listLimits(sql), nextCursor: null }),
  );
  app.put(
    '/api/admin/limits',
    { schema: { tags, summary: 'Set a limit', body: LimitBody, response: { 200: Limit } } },
    async (request) => {
      const limit = toLimit(request.body);
      await checkSubject(limit);
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        await putLimit(tx, limit);
        const { scope, subject, ...details } = limit;
        await record({ action: 'limit.set', subject: `${scope}:${subject}`, details });
      });
      await admission.refresh();
      return limit;
    },
  );
  app.delete(
    '/api/admin/limits',
    {
      schema: {
        tags,
        summary: 'Take a limit back',
        querystring: Type.Object({
          scope: LimitKey.properties.scope,
          subject: Type.Optional(LimitKey.properties.subject),
        }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { scope, subject = '' } = request.query;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        if (!(await deleteLimit(tx, { scope, subject })))
          throw new FlowstateError('not_found', 'There is no such limit');
        await record({ action: 'limit.removed', subject: `${scope}:${subject}` });
      });
      await admission.refresh();
      return reply.code(204).send(null);
    },
  );

  /** A limit for nobody would be a limit nobody notices. */
  async function checkSubject({ scope, subject }: LimitKey): Promise<void> {
    const refuse = (message: string) => invalidInput([{ field: 'subject', message }]);
    if (scope === 'default' && subject !== '') throw refuse('must be empty for the default');
    if (scope === 'role' && !roles.some((role) => role === subject)) throw refuse(`must be one of ${roles.join(', ')}`);
    if (scope === 'workflow' && !(await catalogue.list()).some(({ name }) => name === subject)) {
      throw refuse('is not a published workflow');
    }
    if (scope === 'principal' && (!isUuid(subject) || (await readUser(sql, subject)) === null)) {
      throw refuse('is not the id of a user');
    }
  }
}
