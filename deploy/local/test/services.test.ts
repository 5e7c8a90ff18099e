import t from 'tap';
import { serviceEnv, type ServiceName } from '../src/services.ts';

const ports = { gateway: 1, worker: 2, controller: 3, scaler: 4 };
const settings = {
  DATABASE_URL: 'postgres://owner@db/x',
  APP_DATABASE_URL: 'postgres://app@db/x',
  WORKER_DATABASE_URL: 'postgres://worker@db/x',
  REDIS_URL: 'redis://queue',
  REDIS_CACHE_URL: 'redis://cache',
  JWT_SECRET: 'jwt',
  JWT_ISSUER: 'i',
  JWT_AUDIENCE: 'a',
  WORKER_API_KEY: 'key',
  WEBHOOK_SECRET: 'sign',
  SCALER_TOKEN: 'scale',
  DEMO_PASSWORD: 'demo',
  GATEWAY_URL: 'http://gateway',
  WORKER_URL: 'http://worker',
  CONTROLLER_URL: 'http://controller',
};
const env = {
  AWS_SECRET_ACCESS_KEY: 'stranger',
  OTEL_ENABLED: 'true',
  LOG_LEVEL: 'debug',
  NODE_OPTIONS: '--max-old-space-size=512',
  JWT_PREVIOUS_SECRETS: 'old',
  PORT: '9',
};
const of = (name: ServiceName) => serviceEnv(name, { ports, settings, env });

t.test('each service is given its own settings and nothing else', (t) => {
  t.match(of('gateway'), {
    PORT: '1',
    JWT_SECRET: 'jwt',
    JWT_PREVIOUS_SECRETS: 'old',
    DATABASE_URL: 'postgres://app@db/x',
  });
  t.match(of('worker'), {
    PORT: '2',
    WORKER_API_KEY: 'key',
    DATABASE_URL: 'postgres://worker@db/x',
    LOG_LEVEL: 'debug',
  });
  t.match(of('controller'), {
    PORT: '3',
    SCALER_PORT: '4',
    SCALER_TOKEN: 'scale',
    DATABASE_URL: 'postgres://app@db/x',
    OTEL_ENABLED: 'true',
    WEBHOOK_SECRET: 'sign',
  });
  for (const name of ['gateway', 'worker', 'controller'] as const) {
    const given = Object.values(of(name));
    t.ok(given.includes('--max-old-space-size=512'), `${name} has the heap that was asked for`);
    t.notOk(given.includes('stranger'), `${name} sees nothing of the user's other secrets`);
    t.equal(given.includes('sign'), name !== 'worker', `${name} and the secret of webhooks`);
    t.equal(given.includes('scale'), name === 'controller', `${name} and the token of autoscalers`);
    t.notOk(given.includes('demo'), `${name} has no use for the demo password`);
  }
  t.end();
});

t.test('only the gateway can sign tokens', (t) => {
  for (const name of ['worker', 'controller'] as const) {
    t.equal(
      Object.keys(of(name)).find((key) => key.startsWith('JWT')),
      undefined,
    );
  }
  t.end();
});
