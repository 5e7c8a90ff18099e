import { FlowstateError } from '@flowstate/contracts';
import type { App } from './gateway-app.ts';

const message = 'must be identity, or left out: no compressed body is read here';

/** Refuses compressed bodies before they are read: no route unpacks them. */
export function refuseEncodedBodies(app: App): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    const { 'content-encoding': encoding, 'content-length': length = '0' } = request.headers;
    if (encoding === undefined || request.is404 || isIdentity(encoding)) return done(null, payload);
    if (length === '0' && request.headers['transfer-encoding'] === undefined) return done(null, payload);
    // Says that the coding was it, and which one is taken (RFC 9110, section 12.5.3).
    reply.header('accept-encoding', 'identity');
    const field = 'headers.content-encoding';
    done(new FlowstateError('unsupported_media_type', `${field} ${message}`, { errors: [{ field, message }] }));
  });
}

function isIdentity(encoding: string): boolean {
  return encoding.split(',').every((coding) => ['', 'identity'].includes(coding.trim().toLowerCase()));
}
