import { KillKeyAnswer, KillKeyBody, RehearsalReport, SigningKeyReport } from '@flowstate/contracts';
import { killSigningKey, readSigningKeys, rehearseRotation } from '@flowstate/security';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const tags = ['admin'];
const Params = Type.Object({ kid: Type.String({ pattern: '^[\\w-]{1,64}$' }) });

/** The keys that sign tokens: what is done with each, whether it may go, and ending one at once. */
export function signingKeyRoutes(
  app: App,
  { sql, redis, cache, identity, audit }: Pick<Deps, 'sql' | 'redis' | 'cache' | 'identity' | 'audit'>,
): void {
  app.get(
    '/api/admin/signing-keys',
    {
      schema: {
        tags,
        summary: 'Signing keys: who holds them, traffic, and whether they are safe to retire',
        response: { 200: SigningKeyReport },
      },
    },
    () => readSigningKeys(sql),
  );

  app.post(
    '/api/admin/signing-keys/rehearse',
    {
      schema: {
        tags,
        summary: 'Would a rotation go through now? Changes nothing but the record of the verdict',
        response: { 200: RehearsalReport },
      },
    },
    async (request) => {
      const { id: actor } = principalOf(request);
      const { at, passed, checks } = await rehearseRotation({ sql, redis: { queues: redis, cache }, by: actor });
      const details = { failed: checks.filter(({ ok }) => !ok).map(({ name }) => name) };
      audit.record({ action: 'rotation.rehearse', actor, outcome: passed ? 'success' : 'failed', details });
      return { at: at.toISOString(), passed, checks };
    },
  );

  app.post(
    '/api/admin/signing-keys/:kid/kill',
    {
      schema: {
        tags,
        summary: 'Refuse all tokens of a signing key, everywhere, within a second and for good',
        description: '409 when all live gateways sign with it, unless `force`: then nobody can log in until a restart',
        params: Params,
        body: KillKeyBody,
        response: { 200: KillKeyAnswer },
      },
    },
    async (request) => {
      const { kid } = request.params;
      const { reason, force = false } = request.body;
      const { id: actor } = principalOf(request);
      const answer = await killSigningKey(sql, { kid, reason, by: actor, force });
      audit.record({
        action: 'signing-key.kill',
        actor,
        subject: kid,
        outcome: 'success',
        details: { reason, force, disabled: answer.disabled },
      });
      await identity.policy.refresh();
      return answer;
    },
  );
}
