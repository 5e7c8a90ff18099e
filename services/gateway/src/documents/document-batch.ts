import {
  createCheck,
  EmbeddedDocumentInput,
  FlowstateError,
  invalidInput,
  storableErrors,
  wrongNames,
  type FieldError,
  type ImportRejection,
} from '@flowstate/contracts';
import Type from 'typebox';

export const maxBatch = 1_000;

const batchOf = <T extends Type.TSchema>(document: T) =>
  Type.Object(
    { documents: Type.Array(document, { minItems: 1, maxItems: maxBatch }) },
    { additionalProperties: false },
  );
const Batch = batchOf(EmbeddedDocumentInput);
/** One document, `{documents: […]}` or a bare array. */
export const DocumentsBody = Type.Union([EmbeddedDocumentInput, Batch, Batch.properties.documents]);

const checkOne = createCheck(EmbeddedDocumentInput);
const checkBatch = createCheck(batchOf(Type.Unknown()));

/** The documents of a `DocumentsBody`, unread; undefined for one that is a single document. Throws `invalid_input`. */
export function readBatch(body: unknown): unknown[] | undefined {
  if (Array.isArray(body)) return checkBatch({ documents: body }).documents;
  const isBatch = typeof body === 'object' && body !== null && 'documents' in body;
  return isBatch ? checkBatch(body).documents : undefined;
}

/** Reads a document; throws `invalid_input` naming each field that is wrong. */
export function readDocument(body: unknown): EmbeddedDocumentInput {
  const document = checkOne(body);
  // Numbers of a direction are rounded anyhow, and thousands.
  const { embedding: _embedding, ...stored } = document;
  const errors = [
    ...storableErrors(stored, '').map(({ field, message }) => ({ field: field.replace(/^\./, ''), message })),
    ...documentErrors(document),
  ];
  if (errors.length > 0) throw invalidInput(errors);
  return document;
}

type ReadDocuments = {
  good: { line: number; document: EmbeddedDocumentInput }[];
  rejections: ImportRejection[];
};

/** Reads each for itself; `line` counts from 1. Of several with the same external id the first is taken. */
export function readDocuments(batch: readonly unknown[]): ReadDocuments {
  const read: ReadDocuments = { good: [], rejections: [] };
  const firstOf = new Map<string, number>();
  for (const [index, value] of batch.entries()) {
    const line = index + 1;
    try {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw invalidInput([{ field: 'row', message: 'is not a JSON object' }]);
      }
      const document = readDocument(value);
      const key = document.externalId && JSON.stringify([document.collection, document.externalId]);
      const first = key && firstOf.get(key);
      if (first) throw invalidInput([{ field: 'externalId', message: `is that of line ${first} too` }]);
      if (key) firstOf.set(key, line);
      read.good.push({ line, document });
    } catch (error) {
      if (!(error instanceof FlowstateError)) throw error;
      read.rejections.push(rejection(line, value, error.errors ?? []));
    }
  }
  return read;
}

/** What is said of a document that did not go in. */
export function rejection(line: number, document: unknown, errors: FieldError[]): ImportRejection {
  const { externalId } = (document ?? {}) as { externalId?: unknown };
  return { line, ...(typeof externalId === 'string' && { externalId: externalId.slice(0, 255) }), errors };
}

/** What the schema cannot say. */
export function documentErrors(document: EmbeddedDocumentInput): FieldError[] {
  const named = wrongNames(document.metadata, 'metadata').map(({ field }) => ({
    field,
    message: 'is no name: letters and digits, then also spaces and _ . : / @ -',
  }));
  return [...named, ...unpairedErrors(document)];
}

/** Without its model an embedding could be mixed with those of another one. */
function unpairedErrors({ embedding, model }: EmbeddedDocumentInput): FieldError[] {
  if ((embedding === undefined) === (model === undefined)) return [];
  const [missing, given] = embedding === undefined ? ['embedding', 'model'] : ['model', 'embedding'];
  return [{ field: missing, message: `is required with ${given}` }];
}
