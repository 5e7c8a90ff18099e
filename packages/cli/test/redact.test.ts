import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import t from 'tap';
import { createRedact, redactValue } from '../src/incident/redact.ts';

const folder = await mkdtemp(join(tmpdir(), 'flowstate-redact-'));
t.teardown(() => rm(folder, { recursive: true }));

async function redactOf(env: Record<string, string>, localEnv = '') {
  const localEnvFile = join(folder, 'local.env');
  await writeFile(localEnvFile, localEnv);
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const { signal } = new AbortController();
  return createRedact({ env, localEnvFile, stdin: Readable.from([]), stdout, stderr, signal });
}

t.test('what the environment calls a secret is taken out by its value', async (t) => {
  const file = join(folder, 'worker-key');
  await writeFile(file, 'from-a-file-4711\n');
  const redact = await redactOf(
    {
      JWT_SECRET: 'signing-secret-1',
      JWT_PREVIOUS_SECRETS: 'older-secret-1, older-secret-2',
      WORKER_API_KEY_FILE: file,
      REDIS_URL: 'redis://user:p%40ssw0rd-of-redis@localhost/0',
      METRICS_TOKEN: 'short',
      LANG: 'not-a-secret-at-all',
    },
    'DEMO_PASSWORD=demo-password-1\n',
  );
  const text = 'signing-secret-1 older-secret-1 older-secret-2 from-a-file-4711 p@ssw0rd-of-redis demo-password-1';
  t.equal(redact(text), Array.from({ length: 6 }, () => '[redacted]').join(' '));
  t.equal(redact('a short not-a-secret-at-all text'), 'a short not-a-secret-at-all text');
});

t.test('what has the shape of a secret is taken out whosever it is', async (t) => {
  const redact = await redactOf({});
  for (const [text, clean] of [
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2ln', '[a token]'],
    ['fsr_0123456789abcdef', '[a refresh token]'],
    [`fsk_abcdefabcdef_${'x'.repeat(43)}`, 'fsk_abcdefabcdef_[redacted]'],
    ['authorization: Bearer abcdefghijkl', 'authorization: Bearer [redacted]'],
    ['postgres://app:pw-4711@db:5432/x', 'postgres://[redacted]@db:5432/x'],
    ['https://example.org/a:b@c', 'https://example.org/a:b@c'],
    ['say \\"$argon2id$v=19$m=1\\"', 'say \\"[a password hash]\\"'],
  ] as const) {
    t.equal(redact(text), clean);
  }
  t.same(redactValue({ a: ['fsr_0123456789abcdef', 1, null], b: { c: 'fine' } }, redact), {
    a: ['[a refresh token]', 1, null],
    b: { c: 'fine' },
  });
});
