import {
  FlowstateError,
  IncidentDeliveries,
  IncidentDelivery,
  IncidentEventsQuery,
  IncidentNoticeBody,
  IncidentTaskBody,
  checkWebhookUrl,
} from '@flowstate/contracts';
import {
  createWebhookSender,
  incidentNotices,
  incidentTask,
  sendIncidentMessages,
  webhookKey,
  type IncidentMessage,
} from '@flowstate/runtime';
import { exportRunEvents, listRoleOwners, type Sql } from '@flowstate/store';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const timeoutMs = 8_000;
const tags = ['admin'];

/** What an incident needs: what happened to runs, and messages to those who must know. */
export function adminIncidentRoutes(
  app: App,
  { sql, audit, config, streams }: Pick<Deps, 'sql' | 'audit' | 'config' | 'streams'>,
): void {
  const key = webhookKey(config.WEBHOOK_SECRET);
  const allowPrivate = config.WEBHOOK_ALLOW_PRIVATE;
  const sender =
    key && createWebhookSender({ key, version: config.FLOWSTATE_VERSION, allowPrivate, timeoutMs, connections: 2 });
  app.addHook('onClose', async () => sender?.close());

  /** Sends and records; who is told of an incident is part of its history. */
  async function tell(action: string, actor: string, incident: string, messages: IncidentMessage[]) {
    if (sender === null)
      throw new FlowstateError('unavailable', 'No WEBHOOK_SECRET is configured: nothing can be sent');
    const deliveries = await sendIncidentMessages(sender, messages);
    for (const { id, to, roles, host, status, error } of deliveries) {
      const details = { message: id, to, roles, host, status, ...(error !== null && { error }) };
      audit.record({ action, actor, subject: incident, outcome: error === null ? 'success' : 'failed', details });
    }
    return deliveries;
  }

  app.get(
    '/api/admin/incidents/events',
    {
      schema: {
        tags,
        summary: 'What happened to runs within a time, as JSON lines, run by run',
        querystring: IncidentEventsQuery,
        produces: ['application/x-ndjson'],
      },
    },
    async (request, reply) => {
      const { from, to = new Date().toISOString(), principal } = request.query;
      const lines = eventLines(sql, { from: toUtc(from), to: toUtc(to), principalId: principal });
      return reply.type('application/x-ndjson').send(streams.readWhileAllowed(request, lines));
    },
  );

  app.post(
    '/api/admin/incidents/notices',
    {
      config: { deadlineMs: timeoutMs + 5_000 },
      schema: {
        tags,
        summary: "Tell the roles' owners, by the webhooks that are their contacts",
        body: IncidentNoticeBody,
        response: { 200: IncidentDeliveries },
      },
    },
    async (request) => {
      const { id } = request.body.summary;
      const messages = incidentNotices(await listRoleOwners(sql), request.body);
      return { deliveries: await tell('incident.notified', principalOf(request).id, id, messages) };
    },
  );

  app.post(
    '/api/admin/incidents/tasks',
    {
      config: { deadlineMs: timeoutMs + 5_000 },
      schema: {
        tags,
        summary: 'File a task in the tracking system behind a webhook',
        body: IncidentTaskBody,
        response: { 200: IncidentDelivery },
      },
    },
    async (request) => {
      const { incident, url } = request.body;
      checkWebhookUrl(url, { allowPrivate }, 'url');
      const messages = [incidentTask(request.body)];
      const [delivery] = await tell('incident.task_filed', principalOf(request).id, incident, messages);
      return delivery;
    },
  );
}

async function* eventLines(sql: Sql, window: Parameters<typeof exportRunEvents>[1]): AsyncGenerator<string> {
  for await (const events of exportRunEvents(sql, window)) {
    yield events.map((event) => `${JSON.stringify(event)}\n`).join('');
  }
}

/** As events write their time, so that text compares as time does. */
function toUtc(time: string): string {
  return new Date(time).toISOString();
}
