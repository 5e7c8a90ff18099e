import { invalidInput, recurrenceErrors } from '@flowstate/contracts';
import { loadConfig, logSinkSettings, settings } from '@flowstate/runtime';
import { directUrl } from '@flowstate/store';
import Type, { type Static } from 'typebox';
import {
  readHttpTls,
  readKubernetes,
  readPolicies,
  readScalerTls,
  scalingSettings,
} from './scaling/scaling-settings.ts';

/** Everything the controller reads from its environment. */
export const ControllerConfig = Type.Object({
  DATABASE_URL: settings.DATABASE_URL,
  DATABASE_DIRECT_URL: settings.DATABASE_DIRECT_URL,
  REDIS_URL: settings.REDIS_URL,
  HOST: settings.HOST,
  PORT: Type.Integer({ default: 8090, minimum: 0, maximum: 65535, description: 'Port of health and metrics' }),
  QUEUE_WINDOW: Type.Optional(
    Type.Integer({
      minimum: 16,
      maximum: 100_000,
      description:
        'Jobs of one queue that wait in Redis at most; by default 4 for each place of the live workers, at least 512',
    }),
  ),
  LLM_REQUESTS_PER_MINUTE: settings.LLM_REQUESTS_PER_MINUTE,
  LLM_TOKENS_PER_MINUTE: settings.LLM_TOKENS_PER_MINUTE,
  METRICS_TOKEN: settings.METRICS_TOKEN,
  ...scalingSettings,
  WEBHOOK_SECRET: settings.WEBHOOK_SECRET,
  WEBHOOK_ALLOW_PRIVATE: settings.WEBHOOK_ALLOW_PRIVATE,
  ROTATION_REHEARSAL_CRON: Type.String({
    default: '0 5 * * MON',
    description: 'When a rotation of secrets is rehearsed (five fields, UTC); `off`: only by hand',
  }),
  RETENTION_DAYS: Type.Number({
    default: 30,
    minimum: 0,
    maximum: 36_500,
    description: 'Days for which finished runs and all that belongs to them are kept; `0` keeps them',
  }),
  RETENTION_MAX_RUNS: Type.Integer({
    default: 0,
    minimum: 0,
    description: 'Finished runs kept at most, those accepted last; `0` sets no limit',
  }),
  LOG_LEVEL: settings.LOG_LEVEL,
  ...logSinkSettings,
  FLOWSTATE_VERSION: settings.FLOWSTATE_VERSION,
  FLOWSTATE_COMMIT: settings.FLOWSTATE_COMMIT,
});

export type ControllerConfig = Static<typeof ControllerConfig>;

export function readConfig(env: NodeJS.ProcessEnv): ControllerConfig {
  const config = loadConfig(ControllerConfig, env);
  for (const check of [directUrl, readPolicies, readScalerTls, readHttpTls, readKubernetes]) check(config);
  const cron = rehearsalCron(config);
  if (cron === null) return config;
  const now = new Date();
  const recurrence = { cron, everyMs: null, timezone: 'UTC', createdAt: now, startAt: null, endAt: null };
  const [error] = recurrenceErrors(recurrence, now);
  if (error !== undefined) throw invalidInput([{ field: 'ROTATION_REHEARSAL_CRON', message: error.message }]);
  return config;
}

/** Null when nothing is scheduled. */
export function rehearsalCron({ ROTATION_REHEARSAL_CRON: cron }: ControllerConfig): string | null {
  return cron === 'off' ? null : cron;
}
