import SerializerSelector from '@fastify/fast-json-stringify-compiler';
import { coercingAjv, strictAjv } from '@flowstate/contracts';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';

/*
 * A gateway has some hundred routes: compiling what all of them read and answer is half of its start. So each is
 * compiled when it is first needed, a few milliseconds then; the tests ask every route.
 */

/** Serializers that are compiled when a route first answers with them: part of Fastify's options. */
export const lazySerializers: Pick<FastifyServerOptions, 'schemaController'> = {
  schemaController: {
    compilersFactory: {
      buildSerializer(externalSchemas, options) {
        const compile = SerializerSelector()(externalSchemas, options);
        return (route) => {
          let serialize: ReturnType<typeof compile> | undefined;
          return (value) => (serialize ??= compile(route))(value);
        };
      },
    },
  },
};

/**
 * Validators that are compiled when a route is first asked. JSON bodies are taken as they come; parameters and query
 * strings arrive as text.
 */
export function useLazyValidators(app: Pick<FastifyInstance, 'setValidatorCompiler'>): void {
  app.setValidatorCompiler(({ schema, httpPart }) => {
    let validate: ReturnType<typeof strictAjv.compile> | undefined;
    return (value) => {
      validate ??= (httpPart === 'body' ? strictAjv : coercingAjv).compile(
        httpPart === 'querystring' ? knownFieldsOnly(schema as object) : (schema as object),
      );
      return validate(value) ? true : { error: validate.errors as never };
    };
  });
}

/** A filter with a slip in its name would be none, and everything be answered. A schema may say otherwise. */
function knownFieldsOnly(schema: object): object {
  return { additionalProperties: false, ...schema };
}
