import {
  FlowstateError,
  invalidInput,
  OneOf,
  queueNames,
  ScalingOverride,
  ScalingOverrideBody,
  ScalingStatus,
  WholeList,
  type QueueName,
} from '@flowstate/contracts';
import { insertScalingOverride, releaseScalingOverrides, scalingOverrides } from '@flowstate/store';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';
import { readScaling } from '../scaling-answers.ts';

const tags = ['admin'];
const Queue = OneOf(queueNames);

/** How queues are scaled, and what a person decides instead for a while; the controller follows within a second. */
export function adminScalingRoutes(app: App, deps: Pick<Deps, 'sql' | 'queues' | 'audit'>): void {
  const { sql, audit } = deps;

  async function statusOf(queue: QueueName, override: ScalingOverride | null): Promise<ScalingStatus> {
    try {
      return { queue, state: await readScaling(deps, queue), problem: null, override };
    } catch (error) {
      if (!(error instanceof FlowstateError)) throw error;
      return { queue, state: null, problem: error.message, override };
    }
  }

  app.get(
    '/api/admin/scaling',
    {
      schema: {
        tags,
        summary: 'How every queue is scaled, by which policy and override',
        response: { 200: WholeList(ScalingStatus) },
      },
    },
    async () => {
      const overrides = await scalingOverrides(sql);
      const items = await Promise.all(queueNames.map((queue) => statusOf(queue, overrides.get(queue) ?? null)));
      return { items, nextCursor: null };
    },
  );

  app.put(
    '/api/admin/scaling/:queue/override',
    {
      schema: {
        tags,
        summary: "Set other bounds than the policy's for a while",
        description: 'Takes the place of an override there is; ends by itself, or by DELETE',
        params: Type.Object({ queue: Queue }),
        body: ScalingOverrideBody,
        response: { 200: ScalingOverride },
      },
    },
    async (request) => {
      const { queue } = request.params;
      const { min = null, max = null, reason, seconds } = request.body;
      if (min === null && max === null) throw invalidInput([{ field: 'min', message: 'or max must be given' }]);
      if (min !== null && max !== null && min > max) {
        throw invalidInput([{ field: 'min', message: `must not be above max, ${max}` }]);
      }
      const { id: authorId } = principalOf(request);
      return recordedChange({ sql, audit }, request, async (tx, record) => {
        const override = await insertScalingOverride(tx, { queue, min, max, reason, seconds, authorId });
        const details = { override: override.id, min, max, reason, expiresAt: override.expiresAt };
        await record({ action: 'scaling.overridden', subject: queue, details });
        return override;
      });
    },
  );

  app.delete(
    '/api/admin/scaling/overrides',
    {
      schema: {
        tags,
        summary: 'Back to the policy, of one queue or all',
        querystring: Type.Object({ queue: Type.Optional(Queue) }),
        response: { 200: Type.Object({ restored: Type.Array(Queue, { description: 'Queues that had an override' }) }) },
      },
    },
    async (request) => {
      const { queue } = request.query;
      const { id: releasedBy } = principalOf(request);
      return recordedChange({ sql, audit }, request, async (tx, record) => {
        const restored = await releaseScalingOverrides(tx, { queue, releasedBy });
        await record({ action: 'scaling.restored', subject: queue ?? 'all', details: { restored } });
        return { restored };
      });
    },
  );
}
