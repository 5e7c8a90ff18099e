import { checkWebhookUrl, invalidInput } from '@flowstate/contracts';
import type { GatewayConfig } from '../config.ts';

/** The URL in its normal form; throws `invalid_input` for one that no webhook may go to. */
export type WebhookUrlCheck = (url: string) => string;

/** Without a secret to sign with, no run may ask for a webhook: its end would never be told. */
export function createWebhookUrlCheck({
  WEBHOOK_SECRET,
  WEBHOOK_ALLOW_PRIVATE,
}: Pick<GatewayConfig, 'WEBHOOK_SECRET' | 'WEBHOOK_ALLOW_PRIVATE'>): WebhookUrlCheck {
  return (url) => {
    if (WEBHOOK_SECRET === undefined) {
      throw invalidInput([{ field: 'webhookUrl', message: 'cannot be used here: no WEBHOOK_SECRET is configured' }]);
    }
    return checkWebhookUrl(url, { allowPrivate: WEBHOOK_ALLOW_PRIVATE }).href;
  };
}
