import { LogLevelBody, OneOf, ServiceLogLevel, serviceNames, WholeList } from '@flowstate/contracts';
import { deleteLogLevels, listLogLevels, putLogLevels } from '@flowstate/store';
import Type, { type Static } from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const Answer = WholeList(ServiceLogLevel);

/** How much the services log; each follows within a second, without a restart. */
export function adminLogLevelRoutes(app: App, { sql, audit }: Pick<Deps, 'sql' | 'audit'>): void {
  async function shown(): Promise<Static<typeof Answer>> {
    const set = await listLogLevels(sql);
    const items = serviceNames.map((service) => {
      const own = set.find((level) => level.service === service);
      return {
        service,
        level: own?.level ?? null,
        until: own?.until?.toISOString() ?? null,
        reason: own?.reason ?? null,
        updatedAt: own?.updatedAt.toISOString() ?? null,
        updatedBy: own?.updatedBy ?? null,
      };
    });
    return { items, nextCursor: null };
  }

  app.get(
    '/api/admin/log-levels',
    { schema: { tags, summary: 'How much the services log', response: { 200: Answer } } },
    async () => shown(),
  );

  app.put(
    '/api/admin/log-levels',
    {
      schema: {
        tags,
        summary: 'Log more, or less, at once',
        description: 'Of all three services, or those named; with `seconds` it goes back by itself.',
        body: LogLevelBody,
        response: { 200: Answer },
      },
    },
    async (request) => {
      const { services = serviceNames, level, seconds = null, reason } = request.body;
      const { id: updatedBy } = principalOf(request);
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        await putLogLevels(tx, { services, level, seconds, reason, updatedBy });
        await record({ action: 'log-level.set', subject: services.join(), details: { level, seconds, reason } });
      });
      return shown();
    },
  );

  app.delete(
    '/api/admin/log-levels',
    {
      schema: {
        tags,
        summary: 'Back to what each process was started with',
        querystring: Type.Object({ service: Type.Optional(OneOf(serviceNames)) }),
        response: { 200: Answer },
      },
    },
    async (request) => {
      const { service } = request.query;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        const reset = await deleteLogLevels(tx, service === undefined ? serviceNames : [service]);
        await record({ action: 'log-level.reset', subject: service ?? 'all', details: { reset } });
      });
      return shown();
    },
  );
}
