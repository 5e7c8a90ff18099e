import { OneOf, QueueStatus, queueNames, WholeList, type QueueName } from '@flowstate/contracts';
import { readQueueStates, setQueuePaused } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];
const Params = Type.Object({ queue: OneOf(queueNames) });

/** Pausing a queue: runs are still accepted, none begins; what has begun goes on. Postgres remembers it. */
export function adminQueueStateRoutes(
  app: App,
  { sql, audit, queues, admission, log }: Pick<Deps, 'sql' | 'audit' | 'queues' | 'admission' | 'log'>,
): void {
  const read = async (): Promise<QueueStatus[]> =>
    (await readQueueStates(sql)).map(({ queue, paused, open, size }) => ({ queue, paused, open, window: size }));

  app.get(
    '/api/admin/queues',
    {
      schema: {
        tags,
        summary: 'How the queues stand',
        response: { 200: WholeList(QueueStatus) },
      },
    },
    async () => ({ items: await read(), nextCursor: null }),
  );
  for (const [action, paused, summary] of [
    ['pause', true, 'Begin no more runs of a queue'],
    ['resume', false, 'Begin runs of a queue again'],
  ] as const) {
    app.post(
      `/api/admin/queues/:queue/${action}`,
      { schema: { tags, summary, params: Params, response: { 200: QueueStatus } } },
      async (request) => {
        const { queue } = request.params;
        await set(request, queue, paused);
        return (await read()).find((status) => status.queue === queue);
      },
    );
  }

  async function set(request: FastifyRequest, queue: QueueName, paused: boolean): Promise<void> {
    await recordedChange({ sql, audit }, request, async (tx, record) => {
      await setQueuePaused(tx, queue, paused);
      await record({ action: paused ? 'queue.paused' : 'queue.resumed', subject: queue });
    });
    await admission.refresh();
    // What waits in Redis already: the controller sees to it too, and goes on doing so.
    await queues.setPaused(queue, paused).catch((err: unknown) => log.warn({ err, queue }, 'left to the controller'));
  }
}
