import {
  coercingAjv,
  createCheck,
  FlowstateError,
  ImportAnswer,
  ImportMapping,
  importEntities,
  invalidInput,
  maxJsonBytes,
  maxRowLength,
  OneOf,
  type ImportEntity,
} from '@flowstate/contracts';
import type { FastifyRequest } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { createIngestBatches } from '../documents/ingest-batches.ts';
import { startIngest } from '../documents/start-ingest.ts';
import { answerImport, longestImportMs, type Importing } from '../import/answer-import.ts';
import { bytesOf } from '../import/body-bytes.ts';
import { checkHeader, checkMapping } from '../import/column-plan.ts';
import { csvRows } from '../import/csv-rows.ts';
import { decodeText } from '../import/decode-text.ts';
import { jsonRows, ndjsonRows } from '../import/json-rows.ts';
import { createRowReader } from '../import/row-reader.ts';
import type { ImportJob } from '../import/run-import.ts';
import type { SourceRow } from '../import/source-row.ts';
import type { ImportTarget } from '../import/import-target.ts';
import { targetOf } from '../import/targets.ts';

const Query = Type.Object({
  entity: OneOf(importEntities),
  mapping: Type.Optional(
    Type.String({
      maxLength: 8_192,
      description: "how the file's columns become ours",
      contentMediaType: 'application/json',
      contentSchema: ImportMapping,
    }),
  ),
  dryRun: Type.Optional(
    Type.Boolean({ default: false, description: 'judge every row against what is stored, keep nothing' }),
  ),
});
const checkMappingShape = createCheck(ImportMapping, { root: 'mapping' });

const mediaTypes = ['text/csv', 'application/x-ndjson', 'application/json'];
type ImportDeps = Pick<Deps, 'sql' | 'runs' | 'accessRules' | 'draining' | 'search' | 'searchEpoch'>;

/** Streamed import of CSV, NDJSON and JSON. */
export function importRoute(app: App, deps: ImportDeps & Pick<Importing, 'streams'>): void {
  // A scope of its own, where bodies are streams.
  void app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(mediaTypes, (_request, payload, done) => done(null, payload));
    scope.post(
      '/api/import',
      {
        config: { deadlineMs: longestImportMs },
        schema: {
          tags: ['crm'],
          summary: 'Import rows from a file',
          description:
            'The body is the file: CSV with a header, NDJSON, or a JSON array of at most ' +
            `${maxJsonBytes} bytes; a row has at most ${maxRowLength} characters. A row is identified by \`externalId\`; ` +
            'importing it again updates it, what it does not say becomes null. Bad rows are rejected one by one, the ' +
            'others go in; so importing a file twice is safe. The answer is NDJSON, read it while you send: rejections ' +
            'as they happen, `progress` lines, and the summary last, or an `error` line. With `Accept: ' +
            'application/json` it is one object with the first 1,000 rejections.',
          consumes: mediaTypes,
          querystring: Query,
          body: Type.Unknown(),
          response: { 200: { content: answers } },
        },
        validatorCompiler: ({ schema, httpPart }) =>
          httpPart === 'body' ? () => true : coercingAjv.compile(schema as TSchema),
      },
      async (request, reply) => {
        const job = jobOf(request, request.query, deps);
        return answerImport(request, reply, { job, asJson: wantsJson(request), streams: deps.streams });
      },
    );
  });
}

const answers = {
  'application/json': { schema: ImportAnswer },
  'application/x-ndjson': { schema: Type.Unknown() },
};

function jobOf(
  request: FastifyRequest,
  query: { entity: ImportEntity; mapping?: string; dryRun?: boolean },
  { sql, runs, accessRules, draining, search, searchEpoch }: ImportDeps,
): ImportJob {
  const principal = principalOf(request);
  const { entity, dryRun = false } = query;
  if (entity === 'documents' && !accessRules.allows(principal.role, { method: 'POST', pattern: '/api/documents' })) {
    throw new FlowstateError('forbidden', `The role ${principal.role} may not import documents`);
  }
  const target = targetOf(entity, search);
  const mapping = parseMapping(query.mapping);
  checkMapping(mapping, Object.keys(target.schema.properties));
  const { type } = contentTypeOf(request);
  return {
    sql,
    entity,
    target,
    viewer: principal,
    rows: rowsOf(request, target, mapping),
    readRow: createRowReader(target.schema, mapping),
    asText: type === 'text/csv',
    dryRun,
    draining,
    ingest: createIngestBatches(async (documents) =>
      (await startIngest({ sql, runs }, principal, documents)).map((run) => run.id),
    ),
    changed: () => searchEpoch.changed(),
  };
}

function rowsOf(request: FastifyRequest, target: ImportTarget, mapping: ImportMapping): AsyncIterable<SourceRow> {
  const { type, charset } = contentTypeOf(request);
  const bytes = bytesOf(request.raw);
  // Line by line, so that wrong bytes cost one line. What a file of another encoding means is known as a whole only.
  if (type === 'application/x-ndjson' && charset === 'utf-8') return ndjsonRows(bytes);
  const text = decodeText(bytes, charset);
  if (type === 'application/x-ndjson') return ndjsonRows(inUtf8(text));
  if (type === 'application/json') return jsonRows(text);
  const fields = Object.keys(target.schema.properties);
  return csvRows(text, mapping.delimiter ?? ',', (columns) =>
    checkHeader(columns, fields, target.schema.required ?? [], mapping),
  );
}

async function* inUtf8(text: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of text) yield Buffer.from(part);
}

function parseMapping(json: string | undefined): ImportMapping {
  if (json === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalidInput([{ field: 'mapping', message: 'must be JSON' }]);
  }
  return checkMappingShape(value);
}

function contentTypeOf(request: FastifyRequest): { type: string; charset: string } {
  const header = request.headers['content-type'] ?? '';
  const type = header.split(';')[0]?.trim().toLowerCase() ?? '';
  const label = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(header)?.[1] ?? 'utf-8';
  try {
    return { type, charset: new TextDecoder(label).encoding };
  } catch {
    throw new FlowstateError('unsupported_media_type', `The charset ${label} is not known here`);
  }
}

function wantsJson(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? '';
  return accept.includes('application/json') && !accept.includes('ndjson');
}
