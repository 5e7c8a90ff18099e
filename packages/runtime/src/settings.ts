import Type from 'typebox';

/** What nobody filled in is no address: `postgres://app:<password>@db`, `${REDIS_URL}`. */
const filledIn = String.raw`^(?!.*\$\{)[^<>\s]+$`;

/** Environment variables that more than one service reads; each service's schema picks from these. */
export const settings = {
  DATABASE_URL: Type.String({
    pattern: filledIn,
    description:
      'Postgres (with pgvector), `postgres://user:password@host:port/database`; with `?pgbouncer=true` that of PgBouncer in transaction mode (`deploy/capacity.md`)',
  }),
  DATABASE_DIRECT_URL: Type.Optional(
    Type.String({
      pattern: filledIn,
      description:
        'Postgres itself, required where `DATABASE_URL` is a pooler: for the one session that shows who lives (worker) or leads (controller)',
    }),
  ),
  SEARCH_DATABASE_URL: Type.Optional(
    Type.String({
      pattern: filledIn,
      description:
        'A read replica of `DATABASE_URL`: answers searches whenever it has what the primary has, so that none is older for it',
    }),
  ),
  REDIS_URL: Type.String({
    pattern: filledIn,
    description:
      'Redis for queues and session copies; `maxmemory-policy noeviction`; a cluster as `redis+cluster://host:port`',
  }),
  REDIS_CACHE_URL: Type.String({
    pattern: filledIn,
    description: 'Redis for caches; an evicting policy such as `allkeys-lru`',
  }),
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  LOG_LEVEL: Type.Unsafe<'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'>({
    type: 'string',
    enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    description: 'Least severe log level written',
  }),
  FLOWSTATE_VERSION: Type.String({ default: 'dev', description: 'Version shown by `flowstate_build_info`' }),
  FLOWSTATE_COMMIT: Type.String({ default: 'unknown', description: 'Commit shown by `flowstate_build_info`' }),
  METRICS_TOKEN: Type.Optional(
    Type.String({
      secret: true,
      description: 'When set, metrics need `Authorization: Bearer <it>`; a placeholder is refused',
    }),
  ),
  WORKER_API_KEY: Type.String({
    minLength: 32,
    secret: true,
    description: 'API key by which workers prove themselves to the gateway',
  }),
  WEBHOOK_SECRET: Type.Optional(
    Type.String({
      secret: true,
      description:
        'Signs webhooks (Standard Webhooks): `whsec_` and base64 of 24 to 64 bytes, or any random text of at least 24 bytes; without it runs with a `webhookUrl` are refused',
    }),
  ),
  WEBHOOK_ALLOW_PRIVATE: Type.Boolean({
    default: false,
    description: 'Webhooks may go to private and local addresses too',
  }),
  EMBEDDINGS_BASE_URL: Type.Optional(
    Type.String({ description: 'OpenAI-compatible endpoint for embeddings; without it the offline model is used' }),
  ),
  EMBEDDINGS_API_KEY: Type.Optional(Type.String({ description: 'Bearer key for `EMBEDDINGS_BASE_URL`' })),
  EMBEDDINGS_MODEL: Type.Optional(Type.String({ description: 'Model name sent to `EMBEDDINGS_BASE_URL`' })),
  EMBEDDINGS_OTHER_MODELS: Type.Optional(
    Type.String({
      description:
        'Comma-separated models it serves besides: collections embedded by them are searched, and any can be re-embedded by one',
    }),
  ),
  LLM_BASE_URL: Type.Optional(
    Type.String({
      description:
        'OpenAI-compatible endpoint (`POST …/chat/completions`) of the language models; without it agents do without one',
    }),
  ),
  LLM_API_KEY: Type.Optional(Type.String({ description: 'Bearer key for `LLM_BASE_URL`' })),
  LLM_MODEL: Type.Optional(Type.String({ description: 'Language model asked first' })),
  LLM_FALLBACK_MODELS: Type.Optional(
    Type.String({ description: 'Comma-separated models asked in turn when the one before them fails' }),
  ),
  LLM_TIMEOUT_MS: Type.Integer({
    default: 120_000,
    minimum: 1_000,
    maximum: 3_600_000,
    description: 'Milliseconds for one call of a language model',
  }),
  LLM_STRUCTURED_OUTPUTS: Type.Boolean({
    default: true,
    description: 'The endpoint takes `response_format: json_schema`; `false` for one that refuses it',
  }),
  LLM_PRICES: Type.Optional(
    Type.String({
      description:
        'JSON with what models cost, in US dollars for a million tokens: `{"gpt-5-mini": {"input": 0.25, "output": 2}}`',
    }),
  ),
  LLM_REQUESTS_PER_MINUTE: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        "Calls of language models a minute that their provider takes from all workers; a run's turn is waited for without a worker",
    }),
  ),
  LLM_TOKENS_PER_MINUTE: Type.Optional(
    Type.Integer({ minimum: 1, description: 'The same in tokens, input and the most that may come out together' }),
  ),
} as const;
