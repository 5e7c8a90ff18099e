import { FlowstateError, SecretAge, SecretMaxAgeBody, WholeList } from '@flowstate/contracts';
import { readSecretAges } from '@flowstate/security';
import { setSecretMaxAge } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const tags = ['admin'];

/** How old the secrets are and how old they may become; the secrets themselves are nowhere. */
export function secretRoutes(app: App, { sql, audit }: Pick<Deps, 'sql' | 'audit'>): void {
  app.get(
    '/api/admin/secrets',
    {
      schema: {
        tags,
        summary: 'The rotation schedule: last rotation, age and due date of each secret',
        response: { 200: WholeList(SecretAge) },
      },
    },
    async () => ({ items: await readSecretAges(sql), nextCursor: null }),
  );

  app.put(
    '/api/admin/secrets/:name',
    {
      schema: {
        tags,
        summary: 'Set how old a secret may become',
        params: Type.Object({ name: Type.String({ pattern: '^[A-Z_]{1,64}$' }) }),
        body: SecretMaxAgeBody,
        response: { 200: SecretAge },
      },
    },
    async (request) => {
      const { name } = request.params;
      const { maxAgeDays } = request.body;
      const { id: actor } = principalOf(request);
      const found = await setSecretMaxAge(sql, { name, maxAgeDays, by: actor });
      const changed = (await readSecretAges(sql)).find((secret) => secret.name === name);
      if (!found || changed === undefined) throw new FlowstateError('not_found', `There is no secret ${name}`);
      const details = { maxAgeDays };
      audit.record({ action: 'secret.max-age', actor, subject: name, outcome: 'success', details });
      return changed;
    },
  );
}
