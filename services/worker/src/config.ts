import { directUrl } from '@flowstate/store';
import { loadConfig, logSinkSettings, settings } from '@flowstate/runtime';
import Type, { type Static } from 'typebox';

/** Everything a worker reads from its environment. It never holds JWT_SECRET. */
export const WorkerConfig = Type.Object({
  DATABASE_URL: settings.DATABASE_URL,
  DATABASE_DIRECT_URL: settings.DATABASE_DIRECT_URL,
  REDIS_URL: settings.REDIS_URL,
  HOST: settings.HOST,
  PORT: Type.Integer({ default: 8000, minimum: 0, maximum: 65535, description: 'Port of health, metrics and probes' }),
  WORKER_URL: Type.Optional(
    Type.String({
      description: 'Where others reach this very instance; by default its own address and port, which it publishes',
    }),
  ),
  GATEWAY_URL: Type.String({ default: 'http://127.0.0.1:3001', description: 'Where agents reach data' }),
  WORKER_API_KEY: settings.WORKER_API_KEY,
  WORKER_CONCURRENCY: Type.Integer({
    default: 16,
    minimum: 1,
    maximum: 1000,
    description: 'Runs of each queue in hand at most',
  }),
  FLOWSTATE_WORKFLOWS: Type.Optional(
    Type.String({ description: "Folders of a team's own workflows, separated by commas" }),
  ),
  METRICS_TOKEN: settings.METRICS_TOKEN,
  EMBEDDINGS_BASE_URL: settings.EMBEDDINGS_BASE_URL,
  EMBEDDINGS_API_KEY: settings.EMBEDDINGS_API_KEY,
  EMBEDDINGS_MODEL: settings.EMBEDDINGS_MODEL,
  EMBEDDINGS_OTHER_MODELS: settings.EMBEDDINGS_OTHER_MODELS,
  LLM_BASE_URL: settings.LLM_BASE_URL,
  LLM_API_KEY: settings.LLM_API_KEY,
  LLM_MODEL: settings.LLM_MODEL,
  LLM_FALLBACK_MODELS: settings.LLM_FALLBACK_MODELS,
  LLM_TIMEOUT_MS: settings.LLM_TIMEOUT_MS,
  LLM_STRUCTURED_OUTPUTS: settings.LLM_STRUCTURED_OUTPUTS,
  LLM_PRICES: settings.LLM_PRICES,
  LLM_REQUESTS_PER_MINUTE: settings.LLM_REQUESTS_PER_MINUTE,
  LLM_TOKENS_PER_MINUTE: settings.LLM_TOKENS_PER_MINUTE,
  LOG_LEVEL: settings.LOG_LEVEL,
  ...logSinkSettings,
  FLOWSTATE_VERSION: settings.FLOWSTATE_VERSION,
  FLOWSTATE_COMMIT: settings.FLOWSTATE_COMMIT,
});

export type WorkerConfig = Static<typeof WorkerConfig>;

export function readConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  const config = loadConfig(WorkerConfig, env);
  directUrl(config); // throws where it is missing
  return config;
}
