import { readdirSync, readFileSync } from 'node:fs';
import { ExternalSecret } from '@kubernetes-models/external-secrets/external-secrets.io/v1';
import { Secret } from 'kubernetes-models/v1';
import t from 'tap';
import { parse } from 'yaml';
import { readConfig as readControllerConfig } from '../services/controller/src/config.ts';
import { readConfig as readGatewayConfig } from '../services/gateway/src/config.ts';
import { readConfig as readWorkerConfig } from '../services/worker/src/config.ts';

const chart = new URL('../deploy/helm/flowstate/', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, chart), 'utf8');
const { existingSecret } = parse(read('values.yaml')) as { existingSecret: string };
const secret = new Secret(parse(read('examples/secret.yaml')) as never);
const { stringData = {} } = secret;

/** Keys that the chart's templates take from the Secret: those that must be there. */
const required = new Set(
  readdirSync(new URL('templates/', chart))
    .flatMap((file) => read(`templates/${file}`).split('\n'))
    .flatMap((line) => (line.includes('"optional" true') ? [] : (/"key" "([a-z-]+)"/.exec(line)?.[1] ?? []))),
);

t.test('the example of a Secret has every key the chart takes, and fits its schema', async (t) => {
  secret.validate();
  t.equal(secret.metadata?.name, existingSecret);
  required.delete('bootstrap-admin-password'); // only with auth.bootstrapAdminEmail
  t.same([...required].toSorted(), Object.keys(stringData).toSorted());
});

t.test('the example of an external secret fits its schema, which notices a mistake', async (t) => {
  const example = parse(read('examples/external-secret.yaml')) as { spec: object };
  const external = new ExternalSecret(example);
  external.validate();
  t.equal(external.spec?.target?.name, existingSecret);
  const wrong = { ...example, spec: { ...example.spec, refreshInterval: 7 } };
  t.throws(() => new ExternalSecret(wrong as never).validate(), /refreshInterval/);
});

t.test('no service starts on what stands in the example', async (t) => {
  const env = {
    DATABASE_URL: stringData['database-url'],
    REDIS_URL: stringData['redis-url'],
    REDIS_CACHE_URL: stringData['redis-cache-url'],
    JWT_SECRET: stringData['jwt-secret'],
    JWT_ISSUER: 'flowstate',
    JWT_AUDIENCE: 'flowstate',
    WORKER_API_KEY: stringData['worker-api-key'],
    SCALER_TOKEN: stringData['scaler-token'],
  };
  for (const [readConfig, refused] of [
    [readGatewayConfig, /DATABASE_URL .*REDIS_URL .*REDIS_CACHE_URL /],
    [readWorkerConfig, /DATABASE_URL .*REDIS_URL /],
    [readControllerConfig, /DATABASE_URL .*REDIS_URL /],
  ] as const) {
    t.throws(() => readConfig(env), { code: 'invalid_input', message: refused });
  }
  const addresses = { ...env, DATABASE_URL: 'postgres://db/x', REDIS_URL: 'redis://r', REDIS_CACHE_URL: 'redis://c' };
  const long = {
    ...addresses,
    JWT_SECRET: `${env.JWT_SECRET}, nothing else`,
    WORKER_API_KEY: `${env.WORKER_API_KEY}.`,
  };
  t.throws(() => readGatewayConfig(long), { message: /JWT_SECRET is a placeholder.*WORKER_API_KEY is a placeholder/ });
  t.throws(() => readWorkerConfig(long), { message: /WORKER_API_KEY is a placeholder/ });
  t.throws(() => readControllerConfig(long), { message: /SCALER_TOKEN is a placeholder/ });
});

t.test("the guide's Secret has what the chart takes", async (t) => {
  const guide = read('../../README.md');
  const given = [...guide.matchAll(/--from-literal=([a-z-]+)=/g)].map(([, key]) => key ?? '');
  for (const key of [...required, 'bootstrap-admin-password', 'metrics-token']) t.ok(given.includes(key), key);
  const templates = readdirSync(new URL('templates/', chart)).map((file) => read(`templates/${file}`));
  const known = new Set(
    templates.flatMap((text) => [...text.matchAll(/key"? *:? "?([a-z-]+)/g)].map(([, key]) => key)),
  );
  for (const key of given) t.ok(known.has(key), `the chart knows ${key}`);
});
