import ipaddr from 'ipaddr.js';
import { invalidInput } from './errors.ts';
import { isPublicAddress } from './public-address.ts';

type Policy = {
  /** Local names and private addresses are fine too. */
  allowPrivate: boolean;
};

/** Names that only ever mean this machine or this network (RFC 6761, RFC 8375, clouds' metadata). */
const localNames = /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa)$/;

/**
 * The URL in its normal form, if a webhook may go there as far as the URL itself says; to what address its name leads
 * is checked again at each delivery. Ports below 1024 belong to other protocols (mail, SSH), but for 80 and 443.
 * Throws `invalid_input` naming the field.
 */
export function checkWebhookUrl(text: string, { allowPrivate }: Policy, field = 'webhookUrl'): URL {
  const refuse = (message: string) => invalidInput([{ field, message }]);
  if (!URL.canParse(text)) throw refuse('must be a URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('must be an http or https URL');
  if (url.username !== '' || url.password !== '') throw refuse('must not carry a user name or password');
  if (url.port !== '' && Number(url.port) < 1024 && !['80', '443'].includes(url.port)) {
    throw refuse('must use port 80, 443 or one above 1023');
  }
  if (allowPrivate) return url;
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (ipaddr.isValid(host)) {
    if (!isPublicAddress(host)) throw refuse('must not point to a private, local or reserved address');
  } else if (localNames.test(host) || !host.includes('.')) {
    throw refuse('must not point to a name of the local network');
  }
  return url;
}
