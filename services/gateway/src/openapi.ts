import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Type from 'typebox';
import type { AccessRules } from './access-rules.ts';
import type { App } from './gateway-app.ts';

/** Collects the routes' own schemas, and says which are closed to runs; register before the routes. */
export async function describeApi(app: App, version: string, rules: Pick<AccessRules, 'closedToRuns'>): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Flowstate',
        version,
        description: 'Durable AI-agent workflows. Errors are `application/problem+json`.',
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      security: [{ bearer: [] }],
    },
    transform({ schema, url, route }) {
      const closed = rules.closedToRuns({ method: String(route.method), pattern: url });
      const description = [schema?.description, closed && `${closed}.`].filter(Boolean).join('\n\n');
      return { url, schema: description === '' ? schema : { ...schema, description } };
    },
  });
}

/** `/api/openapi.json` and a docs page that loads nothing from elsewhere; register after the routes. */
export async function serveApiDocs(app: App): Promise<void> {
  app.get(
    '/api/openapi.json',
    { schema: { tags: ['operations'], summary: 'This description', response: { 200: Type.Unknown() } } },
    async () => app.swagger(),
  );
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    staticCSP: true,
    uiConfig: { tryItOutEnabled: true, persistAuthorization: false },
  });
}
