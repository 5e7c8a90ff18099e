import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import { loadConfig, settings } from '../src/index.ts';

const Schema = Type.Object({
  PORT: Type.Integer({ default: 80, minimum: 0, maximum: 65_535 }),
  SECRET: Type.String({ minLength: 8 }),
  FLAG: Type.Boolean({ default: false }),
  NOTE: Type.Optional(Type.String()),
});

t.test('text becomes what the schema says, and what is missing its default', async (t) => {
  t.same(loadConfig(Schema, { SECRET: 'long enough', PORT: '8080', FLAG: 'true', NOTE: '', OTHER: 'x' }), {
    PORT: 8080,
    SECRET: 'long enough',
    FLAG: true,
  });
});

t.test('every wrong variable is named, and no value is shown', async (t) => {
  t.throws(() => loadConfig(Schema, { SECRET: 'hunter2', PORT: 'http' }), {
    code: 'invalid_input',
    message: /^(?=.*PORT must be integer)(?=.*SECRET must NOT have fewer)(?!.*hunter2)/,
  });
  t.throws(() => loadConfig(Schema, {}), { message: 'SECRET is required' });
});

t.test('a secret may come as a file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'config-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'secret'), 'from a file\n');
  t.match(loadConfig(Schema, { SECRET_FILE: join(folder, 'secret') }), { SECRET: 'from a file' });
  t.throws(() => loadConfig(Schema, { SECRET_FILE: join(folder, 'nothing') }), {
    message: /^SECRET_FILE cannot be read/,
  });
});

t.test('a secret that is none is refused, and not shown', async (t) => {
  const Secrets = Type.Object({
    KEY: Type.String({ minLength: 32, secret: true }),
    OLD: Type.Optional(Type.String({ secret: 'list' })),
  });
  const good = () => randomBytes(32).toString('base64url');
  for (let n = 0; n < 1_000; n++) {
    loadConfig(Secrets, { KEY: good(), OLD: `${good()}, ${good()}` });
    loadConfig(Secrets, { KEY: randomBytes(16).toString('hex') });
  }
  for (const weak of [
    'change-me-change-me-change-me-change-me',
    'your-256-bit-secret-goes-here-please',
    'a'.repeat(64),
    'abcdefgh'.repeat(5),
    '0123456789abcdef'.repeat(2),
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab',
    `jwt_secret_${good()}`,
    '${JWT_SECRET}aV8mQ2xW9pL4tR7yU1zK3b',
  ]) {
    const refused = { code: 'invalid_input', message: /^KEY (is|repeats)/ };
    t.throws(() => loadConfig(Secrets, { KEY: weak }), refused, weak);
    t.throws(() => loadConfig(Secrets, { KEY: good(), OLD: `${good()},${weak}` }), { message: /^OLD / }, weak);
    try {
      loadConfig(Secrets, { KEY: weak });
    } catch (error) {
      t.notOk((error as Error).message.includes(weak));
    }
  }
});

t.test('an address that nobody filled in is refused', async (t) => {
  const Addresses = Type.Object({ DATABASE_URL: settings.DATABASE_URL });
  for (const url of ['postgres://app:<password>@db/flowstate', 'postgres://app:${PASSWORD}@db/flowstate']) {
    t.throws(() => loadConfig(Addresses, { DATABASE_URL: url }), { message: /^DATABASE_URL must match pattern/ }, url);
  }
  const url = 'postgres://app:a$b%3C{c}@db:5432/flowstate?sslmode=require';
  t.same(loadConfig(Addresses, { DATABASE_URL: url }), { DATABASE_URL: url });
});
