import { isUtf8 } from 'node:buffer';
import { invalidInput } from '@flowstate/contracts';
import type { App } from './deps.ts';

/**
 * Reads JSON bodies as Fastify does, but refuses bytes that are not UTF-8: it would take replacement characters for
 * them, and store what nobody has sent.
 */
export function readJsonBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (isUtf8(body)) void parse(request, body.toString(), done);
    else done(invalidInput([{ field: 'body', message: 'is not UTF-8' }]));
  });
}
