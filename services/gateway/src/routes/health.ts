import { OneOf } from '@flowstate/contracts';
import { checkMetricsToken, timedCheck, type Check } from '@flowstate/runtime';
import { missingMigrations } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

const ReadyQuery = Type.Object(
  { strict: Type.Optional(OneOf(['0', '1', 'false', 'true'] as const)) },
  { additionalProperties: true }, // probes add what keeps caches out
);

/** Liveness, readiness with every dependency named, and metrics. */
export function healthRoutes(app: App, { sql, redis, cache, metrics, config, draining }: Deps): void {
  app.get('/api/health', { schema: { tags: ['operations'], summary: 'The process lives' } }, async () => ({
    status: 'ok',
    version: config.FLOWSTATE_VERSION,
  }));

  app.get(
    '/api/ready',
    {
      schema: {
        tags: ['operations'],
        summary: 'Each dependency with its state and latency',
        description:
          '503 when Postgres, migrations or the signing key fail or while draining; 200 `degraded` when only Redis is away',
        querystring: ReadyQuery,
      },
    },
    async (request, reply) => {
      const checks: Check[] = await Promise.all([
        timedCheck('postgres', () => sql`SELECT 1`),
        timedCheck('migrations', async () => {
          const missing = await missingMigrations(sql);
          if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
        }),
        timedCheck('signing-key', async () => app.signer.assertUsable()),
        timedCheck('redis', () => redis.ping()),
        timedCheck('redis-cache', () => cache.ping()),
      ]);
      const failed = checks.filter((check) => !check.ok).map((check) => check.name);
      const fatal = draining.aborted || failed.some((name) => !name.startsWith('redis'));
      const status = draining.aborted ? 'draining' : fatal ? 'unready' : failed.length > 0 ? 'degraded' : 'ready';
      const code = fatal || (['1', 'true'].includes(request.query.strict ?? '') && failed.length > 0) ? 503 : 200;
      if (code === 503) reply.header('retry-after', '1');
      return reply.code(code).send({ status, checks });
    },
  );

  app.get(
    '/api/metrics',
    { schema: { tags: ['operations'], summary: 'Prometheus metrics' } },
    async (request, reply) => {
      checkMetricsToken(request.headers.authorization, config.METRICS_TOKEN);
      return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
    },
  );
}
