import type { IncidentDeliveries, IncidentDelivery, IncidentNoticeBody, IncidentTaskBody } from '@flowstate/contracts';
import { checkWebhookUrl } from '@flowstate/contracts';
import {
  createWebhookSender,
  incidentNotices,
  incidentTask,
  sendIncidentMessages,
  webhookKey,
  type IncidentMessage,
} from '@flowstate/runtime';
import { createAuditedChange } from '@flowstate/security';
import { createSql } from '@flowstate/store';
import { connect, databaseUrl, setting, type ConnectionOptions } from '../connection.ts';
import { directOperator, onStores } from '../direct-stores.ts';
import { CommandError, exitCodes, type Terminal } from '../terminal.ts';
import { openOwners } from './owners.ts';

/** Ways to tell somebody of an incident: by the gateway, or past it when that is down. */
export type IncidentMessages = {
  notify(notice: IncidentNoticeBody): Promise<IncidentDelivery[]>;
  file(task: IncidentTaskBody): Promise<IncidentDelivery>;
  /** The id under which a task is filed, however often. */
  taskId(task: IncidentTaskBody): string;
  close(): Promise<void>;
};

type Options = ConnectionOptions & { direct?: boolean };

export function openIncidentMessages(options: Options, terminal: Terminal): Promise<IncidentMessages> {
  return options.direct ? direct(options, terminal) : throughApi(options, terminal);
}

async function throughApi(options: Options, terminal: Terminal): Promise<IncidentMessages> {
  const client = await connect(options, terminal);
  return {
    async notify(json) {
      return (await client.request<IncidentDeliveries>('POST', '/api/admin/incidents/notices', { json })).deliveries;
    },
    taskId: (task) => incidentTask(task).id,
    file: (json) => client.request('POST', '/api/admin/incidents/tasks', { json }),
    close: () => client.close(),
  };
}

/** Signs with WEBHOOK_SECRET of this environment, and writes the audit entries to Postgres itself. */
async function direct(options: Options, terminal: Terminal): Promise<IncidentMessages> {
  const key = webhookKey(await setting(terminal, 'WEBHOOK_SECRET'));
  if (key === null) throw new CommandError('--direct needs WEBHOOK_SECRET, to sign with.', exitCodes.usage);
  const allowPrivate = (await setting(terminal, 'WEBHOOK_ALLOW_PRIVATE')) === 'true';
  const sql = createSql(await databaseUrl(terminal), { name: 'flowstate-cli', max: 1 });
  const sender = createWebhookSender({ key, version: 'cli', allowPrivate, timeoutMs: 8_000, connections: 2 });

  async function tell(action: string, incident: string, messages: IncidentMessage[]): Promise<IncidentDelivery[]> {
    const deliveries = await sendIncidentMessages(sender, messages);
    const { id: actor, details: operator } = directOperator();
    const entries = deliveries.map(({ id, to, roles, host, status, error }) => {
      const details = { ...operator, message: id, to, roles, host, status, ...(error !== null && { error }) };
      return { action, actor, subject: incident, outcome: error === null ? 'success' : 'failed', details } as const;
    });
    await onStores(() =>
      createAuditedChange()(sql, async (_tx, record) => {
        for (const entry of entries) await record(entry);
      }),
    );
    return deliveries;
  }
  return {
    notify: async (notice) =>
      tell('incident.notified', notice.summary.id, incidentNotices(await openOwners(options, terminal), notice)),
    taskId: (task) => incidentTask(task).id,
    async file(task) {
      await onStores(async () => checkWebhookUrl(task.url, { allowPrivate }, 'url'));
      const [delivery] = await tell('incident.task_filed', task.incident, [incidentTask(task)]);
      return delivery as IncidentDelivery;
    },
    async close() {
      await sender.close();
      await sql.end({ timeout: 1 });
    },
  };
}
