import {
  FlowstateError,
  Id,
  ImportRejection,
  invalidInput,
  maxRowLength,
  Nullable,
  OneOf,
  runStates,
  type EmbeddedDocumentInput,
  type Viewer,
} from '@flowstate/contracts';
import type { Sql, UpsertedDocument } from '@flowstate/store';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { principalOf } from '../access.ts';
import { markAudited, operatorOf } from '../audit-trail.ts';
import { requestDeadlineMs } from '../deadline.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { DocumentsBody, maxBatch, readBatch, readDocument } from '../documents/document-batch.ts';
import { createIngestBatches } from '../documents/ingest-batches.ts';
import type { EmbeddingModels } from '../documents/model-dimensions.ts';
import { startIngest } from '../documents/start-ingest.ts';
import { storeBatch } from '../documents/store-batch.ts';
import { storeGiven } from '../documents/store-given.ts';
import { answerImport, longestImportMs, type Importing } from '../import/answer-import.ts';
import { bytesOf } from '../import/body-bytes.ts';
import { createDocumentTarget } from '../import/document-target.ts';
import { ndjsonRows } from '../import/json-rows.ts';
import { createRecentLines } from '../import/recent-lines.ts';
import { createRowReader } from '../import/row-reader.ts';
import type { ImportJob } from '../import/run-import.ts';
import type { ImportTarget } from '../import/import-target.ts';

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
    { description: 'those that were stored, in the order they were sent' },
  ),
  rejections: Type.Array(ImportRejection, { description: 'the others of a batch, by their 1-based place in it' }),
});
const answers = {
  'application/json': { schema: StoredDocuments },
  'application/x-ndjson': { schema: Type.Unknown() },
};
const bulk = 'application/x-ndjson';

/** Storing documents: a few at once, or a stream of any length. */
export function storeDocumentsRoute(
  app: App,
  deps: Pick<Deps, 'sql' | 'runs' | 'audit' | 'draining' | 'search' | 'searchEpoch'> & Pick<Importing, 'streams'>,
): void {
  const { sql, runs, search } = deps;
  const target = createDocumentTarget(search);
  // A scope of its own, where NDJSON bodies are streams.
  void app.register(async (scope: App) => {
    scope.addContentTypeParser(bulk, (_request, payload, done) => done(null, payload));
    scope.post(
      '/api/documents',
      {
        config: { search: 'changes', deadlineMs: (request) => (isBulk(request) ? longestImportMs : requestDeadlineMs) },
        schema: {
          tags: ['documents'],
          summary: 'Store documents',
          description:
            `One document, or up to ${maxBatch} as an array or under \`documents\`. Those with the external id of a ` +
            'stored one of the collection replace it. They can be read at once and are found by searches when the run ' +
            'has ended, at once if they bring `embedding` and `model`. A bad document of a batch is rejected alone, and ' +
            'the batch refused when none is good. As NDJSON any number of them, one a line, each with an external id and at most ' +
            `${maxRowLength} characters long: a bad line is rejected alone, the others go in; so is one ` +
            'with the id of an earlier line, as far as 100,000 lines back (beyond that it replaces it). That answer is NDJSON, read it while you send: rejections by line as they happen, ' +
            '`progress` lines, and the summary with its runs last, or an `error` line.',
          consumes: ['application/json', bulk],
          body: DocumentsBody,
          response: { 200: { content: answers }, 202: StoredDocuments },
        },
        // The handler's own check names the row and field.
        validatorCompiler: () => () => true,
      },
      async (request, reply) => {
        if (isBulk(request)) {
          const job = bulkJob(request, target, deps);
          return reply.send(await answerImport(request, reply, { job, asJson: false, streams: deps.streams }));
        }
        const principal = principalOf(request);
        const batch = readBatch(request.body);
        const answer =
          batch === undefined
            ? await storeOne(sql, readDocument(request.body), principal, search)
            : await storeBatch(sql, batch, principal, search);
        const [run] = await startIngest({ sql, runs }, principal, answer.documents);
        const documents = answer.documents.map(({ id, externalId, status }) => ({ id, externalId, status }));
        const { rejections } = answer;
        if (run === undefined) return reply.code(200).send({ run: null, documents, rejections });
        reply.header('location', `/api/runs/${run.id}`);
        return reply.code(202).send({ run: { id: run.id, state: run.state }, documents, rejections });
      },
    );
  });
}

function isBulk(request: FastifyRequest): boolean {
  return request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() === bulk;
}

async function storeOne(
  sql: Sql,
  document: EmbeddedDocumentInput,
  viewer: Viewer,
  models: EmbeddingModels,
): Promise<{ documents: UpsertedDocument[]; rejections: [] }> {
  const answer = await storeGiven(sql, [document], viewer, models);
  if ('refused' in answer) throw invalidInput(answer.refused.flatMap(({ errors }) => errors));
  return { documents: answer.documents, rejections: [] };
}

function bulkJob(
  request: FastifyRequest,
  target: ReturnType<typeof createDocumentTarget>,
  { sql, runs, audit, draining, searchEpoch }: Pick<Deps, 'sql' | 'runs' | 'audit' | 'draining' | 'searchEpoch'>,
): ImportJob {
  const principal = principalOf(request);
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  if (charset.toLowerCase() !== 'utf-8') {
    throw new FlowstateError('unsupported_media_type', `NDJSON is UTF-8, not ${charset}`);
  }
  const { id: actor, details: by } = operatorOf(request);
  // At its end, with what it did: the answer begins long before.
  markAudited(request);
  return {
    sql,
    entity: 'documents',
    target: target as unknown as ImportTarget,
    viewer: principal,
    rows: ndjsonRows(bytesOf(request.raw)),
    readRow: createRowReader(target.schema, {}),
    asText: false,
    dryRun: false,
    draining,
    ingest: createIngestBatches(async (documents) =>
      (await startIngest({ sql, runs }, principal, documents)).map((run) => run.id),
    ),
    changed: () => searchEpoch.changed(),
    lineBefore: createRecentLines().note,
    onEnd: (counts, complete) =>
      audit.record({
        action: 'data.import',
        actor,
        subject: 'documents',
        outcome: complete ? 'success' : 'failed',
        details: { ...by, ...counts },
      }),
  };
}
