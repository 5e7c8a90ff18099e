import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Type from 'typebox';
import type { App } from './deps.ts';

/** Collects the routes' own schemas; register before the routes. */
export async function describeApi(app: App, version: string): Promise<void> {
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
