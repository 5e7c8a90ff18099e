import {
  Flag,
  FlagBody,
  flagDefinitions,
  flagNames,
  FlowstateError,
  invalidInput,
  OneOf,
  WholeList,
  type FlagName,
} from '@flowstate/contracts';
import { deleteFlag, listFlags, putFlag } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const Params = Type.Object({ name: OneOf(flagNames) });

/** Switches and limits; every gateway follows within a second. */
export function adminFlagRoutes(app: App, { sql, identity, audit }: Pick<Deps, 'sql' | 'identity' | 'audit'>): void {
  async function shown(): Promise<Flag[]> {
    const set = await listFlags(sql);
    return flagNames.map((name) => {
      const { default: value, description } = flagDefinitions[name];
      const own = set.find((flag) => flag.name === name);
      return {
        name,
        value: (own?.value as Flag['value'] | undefined) ?? value,
        default: value,
        description,
        reason: own?.reason ?? null,
        updatedAt: own?.updatedAt.toISOString() ?? null,
        updatedBy: own?.updatedBy ?? null,
      };
    });
  }
  const one = async (name: FlagName) => (await shown()).find((flag) => flag.name === name) as Flag;

  app.get(
    '/api/admin/flags',
    {
      schema: {
        tags,
        summary: 'All flags with their value and default',
        response: { 200: WholeList(Flag) },
      },
    },
    async () => ({ items: await shown(), nextCursor: null }),
  );

  app.put(
    '/api/admin/flags/:name',
    { schema: { tags, summary: 'Set a flag', params: Params, body: FlagBody, response: { 200: Flag } } },
    async (request) => {
      const { name } = request.params;
      const { value, reason } = request.body;
      const { id: updatedBy } = principalOf(request);
      const kind = typeof flagDefinitions[name].default;
      if (typeof value !== kind) throw invalidInput([{ field: 'value', message: `must be a ${kind}` }]);
      const before = (await one(name)).value;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        await putFlag(tx, { name, value, reason, updatedBy });
        await record({ action: 'flag.set', subject: name, details: { before, value, reason } });
      });
      await identity.policy.refresh();
      return one(name);
    },
  );

  app.delete(
    '/api/admin/flags/:name',
    { schema: { tags, summary: 'Back to the default', params: Params, response: { 200: Flag } } },
    async (request) => {
      const { name } = request.params;
      const before = (await one(name)).value;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        if (!(await deleteFlag(tx, name))) throw new FlowstateError('not_found', `${name} has its default`);
        await record({ action: 'flag.reset', subject: name, details: { before } });
      });
      await identity.policy.refresh();
      return one(name);
    },
  );
}
