import { createHash } from 'node:crypto';
import type { IncidentDelivery, IncidentNoticeBody, IncidentTaskBody, Role, RoleOwner } from '@flowstate/contracts';
import type { WebhookSender } from './sender.ts';

/** A message to somebody; `url` null: they have no webhook. */
export type IncidentMessage = { id: string; to: string; roles: Role[]; url: string | null; body: string };

/**
 * One message to each webhook among the owners' contacts, however many roles it answers for, and one to each owner
 * without, which nobody but a person can bring. What `skip` names is left out.
 */
export function incidentNotices(owners: RoleOwner[], { summary, skip = [] }: IncidentNoticeBody): IncidentMessage[] {
  const byContact = new Map<string, RoleOwner[]>();
  for (const owner of owners) {
    const contact = owner.contact ?? `${owner.owner ?? 'nobody'} of ${owner.role}`;
    byContact.set(contact, [...(byContact.get(contact) ?? []), owner]);
  }
  const messages = [...byContact].map(([contact, group]) => {
    const url = /^https?:/i.test(contact) ? contact : null;
    const names = [...new Set(group.map(({ owner }) => owner ?? 'nobody yet'))].join(', ');
    const roles = group.map(({ role }) => role);
    const data = { ...summary, to: names, roles };
    return {
      id: `incident.${summary.id}.${shortHash(contact)}`,
      to: names,
      roles,
      url,
      body: JSON.stringify({ type: 'incident.summary', timestamp: summary.to, data }),
    };
  });
  return messages.filter(({ id }) => !skip.includes(id));
}

/** A task to be filed: its id follows from incident and text, so that the tracker knows it when it comes again. */
export function incidentTask({ incident, task, url }: IncidentTaskBody): IncidentMessage {
  const id = `incident.${incident}.task.${shortHash(task.trim())}`;
  const data = { id, incident, task: task.trim() };
  const body = JSON.stringify({ type: 'incident.task', timestamp: new Date().toISOString(), data });
  return { id, to: 'incident tracking', roles: [], url, body };
}

/** Tries each once. What goes wrong is in the answer. */
export async function sendIncidentMessages(
  sender: Pick<WebhookSender, 'send'>,
  messages: IncidentMessage[],
): Promise<IncidentDelivery[]> {
  return Promise.all(
    messages.map(async ({ id, to, roles, url, body }) => {
      const answer =
        url === null
          ? { status: null, error: 'No webhook URL is named as contact (flowstate access owners)' }
          : await sender.send(url, { id, body });
      const host = url !== null && URL.canParse(url) ? new URL(url).host : null;
      return { id, to, roles, host, at: new Date().toISOString(), status: answer.status, error: answer.error };
    }),
  );
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
