import { randomBytes } from 'node:crypto';
import t from 'tap';
import { readConfig } from '../src/config.ts';

const secret = () => randomBytes(32).toString('base64url');
const good = (): Record<string, string> => ({
  DATABASE_URL: 'postgres://localhost/x',
  REDIS_URL: 'redis://localhost',
  REDIS_CACHE_URL: 'redis://localhost',
  JWT_SECRET: secret(),
  JWT_ISSUER: 'flowstate',
  JWT_AUDIENCE: 'flowstate-api',
  WORKER_API_KEY: secret(),
  WEBHOOK_SECRET: `whsec_${randomBytes(24).toString('base64')}`,
});

t.test('a missing, short or placeholder secret is refused by name', async (t) => {
  t.ok(readConfig(good()));
  for (const [name, value] of [
    ['JWT_SECRET', ''],
    ['JWT_SECRET', 'short'],
    ['JWT_SECRET', 'change-me-change-me-change-me-change-me'],
    ['JWT_PREVIOUS_SECRETS', `${secret()},${'x'.repeat(40)}`],
    ['WORKER_API_KEY', 'your-worker-api-key-goes-in-here-please'],
    ['METRICS_TOKEN', 'change-me'],
    ['METRICS_TOKEN', 'metrics'],
    ['WEBHOOK_SECRET', 'your-webhook-secret-here-please'],
    ['WEBHOOK_SECRET', `whsec_${'A'.repeat(40)}`],
    ['WEBHOOK_SECRET', `whsec_${Buffer.from('change-me-change-me-change-me').toString('base64')}`],
    ['JWT_ISSUER', ''],
    ['JWT_AUDIENCE', ''],
    ['BOOTSTRAP_ADMIN_PASSWORD', 'short'],
    ['BOOTSTRAP_ADMIN_EMAIL', 'root'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://app.example.org/path'],
  ] as const) {
    t.throws(() => readConfig({ ...good(), [name]: value }), { code: 'invalid_input', message: new RegExp(name) });
  }
});
