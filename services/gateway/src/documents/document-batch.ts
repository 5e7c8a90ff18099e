import {
  createCheck,
  EmbeddedDocumentInput,
  invalidInput,
  storableErrors,
  type FieldError,
} from '@flowstate/contracts';
import Type, { type Static } from 'typebox';

export const maxBatch = 1_000;

const Batch = Type.Object(
  { documents: Type.Array(EmbeddedDocumentInput, { minItems: 1, maxItems: maxBatch }) },
  { additionalProperties: false },
);
/** One document, `{documents: […]}` or a bare array. */
export const DocumentsBody = Type.Union([EmbeddedDocumentInput, Batch, Batch.properties.documents]);

const checkOne = createCheck(EmbeddedDocumentInput);
const checkBatch = createCheck(Batch);

/**
 * Reads a `DocumentsBody`. By its shape first and then by that shape's schema, because a union's errors name no field.
 * Throws `invalid_input` naming each, such as `documents.3.text`.
 */
export function readDocuments(body: unknown): EmbeddedDocumentInput[] {
  if (Array.isArray(body)) return checked(checkBatch({ documents: body }));
  const isBatch = typeof body === 'object' && body !== null && 'documents' in body;
  if (isBatch) return checked(checkBatch(body));
  const document = checkOne(body);
  refuse([
    ...storableErrors(document, '').map(({ field, message }) => ({ field: field.replace(/^\./, ''), message })),
    ...unpairedErrors(document, ''),
  ]);
  return [document];
}

function checked({ documents }: Static<typeof Batch>): EmbeddedDocumentInput[] {
  const firstOf = new Map<string, number>();
  refuse(
    documents.flatMap((document, i) => {
      const errors = [...storableErrors(document, `documents.${i}`), ...unpairedErrors(document, `documents.${i}.`)];
      if (document.externalId === undefined) return errors;
      const key = JSON.stringify([document.collection, document.externalId]);
      const first = firstOf.get(key);
      if (first !== undefined)
        errors.push({ field: `documents.${i}.externalId`, message: `is that of documents.${first} too` });
      else firstOf.set(key, i);
      return errors;
    }),
  );
  return documents;
}

/** Without its model an embedding could be mixed with those of another one. */
export function unpairedErrors({ embedding, model }: EmbeddedDocumentInput, prefix: string): FieldError[] {
  if ((embedding === undefined) === (model === undefined)) return [];
  const [missing, given] = embedding === undefined ? ['embedding', 'model'] : ['model', 'embedding'];
  return [{ field: `${prefix}${missing}`, message: `is required with ${given}` }];
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidInput(errors);
}
