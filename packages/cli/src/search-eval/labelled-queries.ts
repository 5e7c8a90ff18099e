import { AnyId, CollectionName, createCheck, FlowstateError, invalidInput, storableErrors } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { CommandError, exitCodes } from '../terminal.ts';

const LabelledQuery = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: 8_000, pattern: '\\S' }),
    /** A group of its own in the table. */
    style: Type.Optional(Type.String({ minLength: 1, maxLength: 60 })),
    collection: Type.Optional(CollectionName),
    /** Grade of every relevant document, by its external id; empty where nothing answers the query. */
    relevant: Type.Record(AnyId, Type.Integer({ minimum: 1, maximum: 3 })),
  },
  { additionalProperties: false },
);

export type LabelledQuery = Static<typeof LabelledQuery> & { line: number };

const check = createCheck(LabelledQuery);
/** More complaints than this nobody reads. */
const shownErrors = 20;

/** The queries of a labelled file, one as JSON on each line; throws a `CommandError` that names every bad line and field. */
export function readLabelledQueries(text: string, file: string): LabelledQuery[] {
  const errors: string[] = [];
  const queries = text.split('\n').flatMap((content, index) => {
    const line = index + 1;
    if (content.trim() === '') return [];
    try {
      const labelled = check(JSON.parse(content));
      const wrong = storableErrors(labelled.query, 'query');
      if (wrong.length > 0) throw invalidInput(wrong);
      return [{ ...labelled, line }];
    } catch (error) {
      if (error instanceof SyntaxError) errors.push(`line ${line}: is not JSON`);
      else if (error instanceof FlowstateError) errors.push(`line ${line}: ${error.message}`);
      else throw error;
      return [];
    }
  });
  if (errors.length === 0 && queries.length === 0) errors.push('has no queries');
  if (errors.length === 0) return queries;
  const more = errors.length > shownErrors ? [`and ${errors.length - shownErrors} more`] : [];
  throw new CommandError([`${file}:`, ...errors.slice(0, shownErrors), ...more].join('\n  '), exitCodes.usage);
}
