import { loadConfig, logSinkSettings, settings, webhookKey } from '@flowstate/runtime';
import Type, { type Static } from 'typebox';

/** Everything the gateway reads from its environment. */
export const GatewayConfig = Type.Object({
  DATABASE_URL: settings.DATABASE_URL,
  SEARCH_DATABASE_URL: settings.SEARCH_DATABASE_URL,
  REDIS_URL: settings.REDIS_URL,
  REDIS_CACHE_URL: settings.REDIS_CACHE_URL,
  HOST: settings.HOST,
  PORT: Type.Integer({ default: 3001, minimum: 0, maximum: 65535, description: 'Port of the HTTP API' }),
  JWT_SECRET: Type.String({
    minLength: 32,
    secret: true,
    description: 'Signs access tokens; at least 32 random bytes: a placeholder is refused',
  }),
  JWT_PREVIOUS_SECRETS: Type.Optional(
    Type.String({
      secret: 'list',
      description: 'Comma-separated secrets that still verify (or, mid-rotation, already verify)',
    }),
  ),
  JWT_ISSUER: Type.String({ minLength: 1, description: '`iss` of access tokens' }),
  JWT_AUDIENCE: Type.String({ minLength: 1, description: '`aud` of access tokens' }),
  WORKER_API_KEY: settings.WORKER_API_KEY,
  METRICS_TOKEN: settings.METRICS_TOKEN,
  TRUST_PROXY: Type.Boolean({ default: false, description: 'Take client addresses from `X-Forwarded-For`' }),
  CORS_ORIGINS: Type.Optional(
    Type.String({
      pattern: '^https?://[^/\\s,*]+( *, *https?://[^/\\s,*]+)*$',
      description: 'Comma-separated origins whose pages may call the API; without it none but its own',
    }),
  ),
  BOOTSTRAP_ADMIN_EMAIL: Type.Optional(
    Type.String({
      pattern: '^[^\\s@]+@[^\\s@]+$',
      description: 'Makes the first administrator at start, while there is none',
    }),
  ),
  BOOTSTRAP_ADMIN_PASSWORD: Type.Optional(
    Type.String({
      minLength: 12,
      maxLength: 1024,
      description: 'Their password, best as `BOOTSTRAP_ADMIN_PASSWORD_FILE`',
    }),
  ),
  WEBHOOK_SECRET: settings.WEBHOOK_SECRET,
  WEBHOOK_ALLOW_PRIVATE: settings.WEBHOOK_ALLOW_PRIVATE,
  AGENT_WEBHOOK_HOSTS: Type.Optional(
    Type.String({
      pattern: '^(\\*\\.)?[A-Za-z0-9.-]+( *, *(\\*\\.)?[A-Za-z0-9.-]+)*$',
      description:
        'Comma-separated hosts (`hooks.example.com`, `*.example.com`) that agents may post approved webhooks to; without it any public one',
    }),
  ),
  EMBEDDINGS_BASE_URL: settings.EMBEDDINGS_BASE_URL,
  EMBEDDINGS_API_KEY: settings.EMBEDDINGS_API_KEY,
  EMBEDDINGS_MODEL: settings.EMBEDDINGS_MODEL,
  EMBEDDINGS_OTHER_MODELS: settings.EMBEDDINGS_OTHER_MODELS,
  SEARCH_CACHE_TTL_SECONDS: Type.Integer({
    default: 600,
    minimum: 1,
    maximum: 30 * 24 * 3600,
    description: 'How long a cached answer of a search lives at most; a write to its collections ends it at once',
  }),
  SEARCH_CACHE_LOCAL_BYTES: Type.Integer({
    default: 16 * 1024 * 1024,
    minimum: 0,
    maximum: 1024 * 1024 * 1024,
    description: 'Memory of a gateway for cached answers, as estimated; 0: only Redis keeps them',
  }),
  SEARCH_SLOW_MS: Type.Integer({
    default: 500,
    minimum: 1,
    maximum: 600_000,
    description: 'Milliseconds in Postgres from which a search is logged, with its plan but nothing that was asked',
  }),
  SEARCH_RECALL_SAMPLE: Type.Number({
    default: 0.01,
    minimum: 0,
    maximum: 1,
    description: 'Share of the searches whose answer is compared with an exact scan in the background; 0: none',
  }),
  LOG_LEVEL: settings.LOG_LEVEL,
  ...logSinkSettings,
  FLOWSTATE_VERSION: settings.FLOWSTATE_VERSION,
  FLOWSTATE_COMMIT: settings.FLOWSTATE_COMMIT,
});

export type GatewayConfig = Static<typeof GatewayConfig>;

export function readConfig(env: NodeJS.ProcessEnv): GatewayConfig {
  const config = loadConfig(GatewayConfig, env);
  webhookKey(config.WEBHOOK_SECRET); // throws for one that cannot sign
  return config;
}
