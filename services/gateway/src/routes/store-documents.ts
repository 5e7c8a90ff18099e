import { FlowstateError, Id, maxRowLength, Nullable, OneOf, runStates } from '@flowstate/contracts';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { requestDeadlineMs } from '../deadline.ts';
import type { App, Deps } from '../deps.ts';
import { DocumentsBody, maxBatch, readDocuments } from '../documents/document-batch.ts';
import { startIngest } from '../documents/start-ingest.ts';
import { storeGiven } from '../documents/store-given.ts';
import { answerImport, longestImportMs } from '../import/answer-import.ts';
import { bytesOf } from '../import/body-bytes.ts';
import { decodeText } from '../import/decode-text.ts';
import { ndjsonRows } from '../import/json-rows.ts';
import { createRowReader } from '../import/row-reader.ts';
import type { ImportJob } from '../import/run-import.ts';
import { targetOf } from '../import/targets.ts';

const StoredDocuments = Type.Object({
  run: Nullable(
    Type.Object(
      { id: Id, state: OneOf(runStates) },
      { description: 'computes the embeddings; null when none had to be computed' },
    ),
  ),
  documents: Type.Array(
    Type.Object({
      id: Id,
      externalId: Nullable(Type.String()),
      status: OneOf(['inserted', 'updated', 'unchanged'] as const),
    }),
  ),
});
const answers = {
  'application/json': { schema: StoredDocuments },
  'application/x-ndjson': { schema: Type.Unknown() },
};
const bulk = 'application/x-ndjson';

/** Storing documents: a few at once, or a stream of any length. */
export function storeDocumentsRoute(app: App, deps: Pick<Deps, 'sql' | 'runs' | 'draining'>): void {
  const { sql, runs } = deps;
  // A scope of its own, where NDJSON bodies are streams.
  void app.register(async (scope: App) => {
    scope.addContentTypeParser(bulk, (_request, payload, done) => done(null, payload));
    scope.post(
      '/api/documents',
      {
        config: { deadlineMs: (request) => (isBulk(request) ? longestImportMs : requestDeadlineMs) },
        schema: {
          tags: ['documents'],
          summary: 'Store documents',
          description:
            `One document, or up to ${maxBatch} as an array or under \`documents\`. Those with the external id of a ` +
            'stored one of the collection replace it. They can be read at once and are found by searches when the run ' +
            'has ended, at once if they bring `embedding` and `model`. As NDJSON any number of them, one a line, each with an external id and at most ' +
            `${maxRowLength} characters long: a bad line is rejected alone, the others go in, and of lines with one id ` +
            'the last counts. That answer is NDJSON, read it while you send: rejections by line as they happen, ' +
            '`progress` lines, and the summary with its runs last, or an `error` line.',
          consumes: ['application/json', bulk],
          body: DocumentsBody,
          response: { 200: { content: answers }, 202: StoredDocuments },
        },
        // The handler's own check names the row and field.
        validatorCompiler: () => () => true,
      },
      async (request, reply) => {
        if (isBulk(request)) return reply.send(await answerImport(request, reply, bulkJob(request, deps), false));
        const rows = readDocuments(request.body);
        const prefixOf = isOne(request.body) ? () => '' : (row: number) => `documents.${row}.`;
        const principal = principalOf(request);
        const stored = await storeGiven(sql, rows, prefixOf, principal);
        const [run] = await startIngest(runs, principal, stored);
        const documents = stored.map(({ id, externalId, status }) => ({ id, externalId, status }));
        if (run === undefined) return reply.code(200).send({ run: null, documents });
        reply.header('location', `/api/runs/${run.id}`);
        return reply.code(202).send({ run: { id: run.id, state: run.state }, documents });
      },
    );
  });
}

function isOne(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Array.isArray(body) && !('documents' in body);
}

function isBulk(request: FastifyRequest): boolean {
  return request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() === bulk;
}

function bulkJob(request: FastifyRequest, { sql, runs, draining }: Pick<Deps, 'sql' | 'runs' | 'draining'>): ImportJob {
  const principal = principalOf(request);
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  if (charset.toLowerCase() !== 'utf-8') {
    throw new FlowstateError('unsupported_media_type', `NDJSON is UTF-8, not ${charset}`);
  }
  const target = targetOf('documents');
  return {
    sql,
    entity: 'documents',
    target,
    viewer: principal,
    rows: ndjsonRows(decodeText(bytesOf(request.raw), charset)),
    readRow: createRowReader(target.schema, {}),
    asText: false,
    dryRun: false,
    draining,
    ingest: async (documents) => (await startIngest(runs, principal, documents)).map((run) => run.id),
  };
}
