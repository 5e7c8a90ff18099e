import { checkWebhookUrl, invalidInput } from '@flowstate/contracts';
import type { GatewayConfig } from '../config.ts';

/**
 * Where agents' webhooks may go: nowhere private, and where AGENT_WEBHOOK_HOSTS names hosts, only there. The returned
 * check throws `invalid_input` naming `url`.
 */
export function createAgentWebhookPolicy({
  AGENT_WEBHOOK_HOSTS,
  WEBHOOK_ALLOW_PRIVATE,
}: Pick<GatewayConfig, 'AGENT_WEBHOOK_HOSTS' | 'WEBHOOK_ALLOW_PRIVATE'>): (url: string) => URL {
  const hosts = AGENT_WEBHOOK_HOSTS?.split(',').map((host) => host.trim().toLowerCase());
  return (text) => {
    const url = checkWebhookUrl(text, { allowPrivate: WEBHOOK_ALLOW_PRIVATE }, 'url');
    const host = url.hostname.replace(/\.$/, '');
    const named = (rule: string) => (rule.startsWith('*.') ? host.endsWith(rule.slice(1)) : host === rule);
    if (hosts === undefined || hosts.some(named)) return url;
    throw invalidInput([{ field: 'url', message: 'must go to one of the hosts that AGENT_WEBHOOK_HOSTS names' }]);
  };
}
