import { PassThrough } from 'node:stream';
import t from 'tap';
import { createLogger, withLogContext, type LogSinks } from '../src/index.ts';
import { redactLine, redactPersonal } from '../src/redact.ts';

/** Nobody's, and of the shapes that ours have. */
const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${'s'.repeat(43)}`;
const apiKey = `fsk_${'a'.repeat(12)}_${'B'.repeat(43)}`;
const refresh = `fsr_${'C'.repeat(43)}`;
const password = 'correct horse battery';

function open(level = 'info') {
  const out = new PassThrough();
  const sinks: LogSinks = { logs: [out], audit: [], lost: () => ({}), onNews: () => {}, close: async () => {} };
  const lines = () => (out.read() as Buffer | null)?.toString().trim().split('\n') ?? [];
  return { log: createLogger('gateway', level, sinks), lines };
}

t.test('no secret gets past a logger, whatever it is logged as', async (t) => {
  const { log, lines } = open();
  const secrets = [jwt, apiKey, refresh, password, 'whsec_c2VjcmV0c2VjcmV0', 's3cret'];
  const request = { headers: { authorization: `Bearer ${jwt}`, 'set-cookie': [`a=${refresh}`], cookie: apiKey } };
  log.info({ request }, 'one deep');
  log.info({ a: { b: { c: [{ password }, { accessToken: jwt, refresh_token: refresh }] } } }, 'four deep');
  log.warn({ JWT_SECRET: 's3cret', WORKER_API_KEY: 's3cret' }, 'by the names of settings');
  log.warn(`with ${jwt} and ${apiKey} and Basic ${Buffer.from('a:s3crets3cret').toString('base64')}`);
  log.error({ err: new Error(`no answer from postgres://app:s3cret@db/flowstate for ${refresh}`) }, 'failed');
  log.error({ body: JSON.stringify({ user: 'ann', password, nested: { apiKey } }) }, 'as text');
  log.info({ url: `/hook?token=${jwt}&password=s3cret&x=1`, key: 'whsec_c2VjcmV0c2VjcmV0' }, 'in an address');
  const written = lines();
  t.equal(written.length, 7);
  for (const line of written) {
    t.same(JSON.parse(line).service, 'gateway', 'it is JSON still');
    t.same(
      secrets.filter((secret) => line.includes(secret)),
      [],
      line,
    );
  }
  t.match(JSON.parse(written[5] ?? ''), { body: /"user":"ann"/ });
  t.match(JSON.parse(written[6] ?? ''), { url: /x=1$/ });
});

t.test("what a tool's error says of people is not logged", async (t) => {
  const { log, lines } = open();
  const said = 'no mailbox jane.doe+crm@mail.example.org, call +1 (415) 555-0132 or +49 30 901820';
  log.warn({ err: new Error(said, { cause: new Error(`upstream: ${said}`) }) }, `tool failed: ${said}`);
  log.info({ output: { customer: 'ann@example.org' } });
  const written = lines();
  for (const line of written) {
    t.ok(JSON.parse(line));
    t.notMatch(line, /jane|example\.org|415|901820/);
    t.match(line, '[an e-mail address]');
  }
  const plain = '{"at":"2026-11-26T20:00:00+00:00","n":+12,"url":"postgres://flowstate@db.example.org/x","v":"a@b"}';
  t.equal(redactPersonal(plain), plain);
});

t.test('what is no secret stays as it is', async (t) => {
  const { log, lines } = open();
  const fields = { keyId: `fsk_${'a'.repeat(12)}`, kid: 'eyJhbGciOi', tokens: 3, inputTokens: 12, secret: true };
  const address = 'redis://cache:6379/1 and http://localhost:4318/v1/traces?x=1';
  log.info({ ...fields, address }, 'a "quoted" text with \\ and a line\nbreak');
  t.match(JSON.parse(lines()[0] ?? ''), { ...fields, address, msg: 'a "quoted" text with \\ and a line\nbreak' });
  t.equal(redactLine('{"token":""}'), '{"token":"[redacted]"}');
});

t.test('lines say whose request or run they are about', async (t) => {
  const { log, lines } = open();
  log.info('outside');
  await withLogContext({ requestId: 'r-1' }, async () => {
    await new Promise(setImmediate);
    log.info({ x: 1 }, 'inside');
  });
  withLogContext({ runId: 'run-1', principal: 'p-1' }, () => log.info({ runId: 'run-1' }, 'a run'));
  const [outside, inside, run] = lines();
  t.notMatch(outside, /requestId|runId|traceId/);
  t.match(JSON.parse(inside ?? ''), { requestId: 'r-1', x: 1 });
  t.equal(run?.match(/"runId"/g)?.length, 1, 'once');
  t.match(JSON.parse(run ?? ''), { runId: 'run-1', principal: 'p-1' });
});
