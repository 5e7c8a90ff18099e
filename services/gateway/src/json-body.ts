import { isUtf8 } from 'node:buffer';
import { invalidInput, type FlowstateError } from '@flowstate/contracts';
import type { App } from './gateway-app.ts';

/**
 * Reads JSON bodies as Fastify does, but refuses bytes that are not UTF-8: it would take replacement characters for
 * them, and store what nobody has sent.
 */
export function readJsonBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (!isUtf8(body)) return done(invalidInput([{ field: 'body', message: 'is not UTF-8' }]));
    const text = body.toString();
    void parse(request, text, (error, value) => done(error && (explained(text) ?? error), value));
  });
}

function explained(text: string): FlowstateError | undefined {
  if (isJson(text)) return forbiddenKey();
  // What careless programs write in place of a number.
  if (!/[:,[]\s*-?(NaN|Infinity)\b/.test(text)) return undefined;
  return invalidInput([{ field: 'body', message: 'cannot be read: JSON has no NaN and no Infinity' }]);
}

/** The parser refuses keys, too, that would reach into every object of a careless program. */
function forbiddenKey(): FlowstateError {
  return invalidInput([{ field: 'body', message: 'must not have a key __proto__, nor constructor.prototype' }]);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
