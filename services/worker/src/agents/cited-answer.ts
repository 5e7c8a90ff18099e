import { Nullable, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { authorship } from './mind.ts';
import { Passage } from './retrieval.ts';

const closed = { additionalProperties: false };
const { text: _text, ...source } = Passage.properties;

/** An answer whose every sentence refers to words that stand in a document. */
export const CitedAnswer = Type.Object(
  {
    answered: Type.Boolean({ description: 'false: the documents do not answer; `note` says so' }),
    sentences: Type.Array(Type.Object({ text: Type.String(), citations: Type.Array(Type.String()) }, closed)),
    citations: Type.Array(
      Type.Object(
        {
          ...source,
          id: Type.String({ pattern: '^q[1-9][0-9]*$', description: 'sentences refer to it' }),
          quote: Type.String({ description: 'part of the document’s text as it stands' }),
        },
        closed,
      ),
    ),
    note: Nullable(Type.String()),
    writtenBy: OneOf(['model', 'extract'], { description: '`extract`: the documents’ own sentences' }),
    dropped: authorship.dropped,
  },
  closed,
);
export type CitedAnswer = Static<typeof CitedAnswer>;

/** What is said where nothing answers. */
export const notAnswered = 'The documents do not answer this question.';

/** Sentences with the quotes behind them, as an answer; without any, that there is none. Equal quotes are one citation. */
export function citedAnswer(
  sentences: readonly { text: string; quotes: readonly { passage: Passage; quote: string }[] }[],
  by: Pick<CitedAnswer, 'writtenBy' | 'dropped'>,
): CitedAnswer {
  const citations = new Map<string, CitedAnswer['citations'][number]>();
  const cite = ({ passage, quote }: { passage: Passage; quote: string }) => {
    const { text: _text, ...source } = passage;
    const key = JSON.stringify([source.id, quote]);
    const known = citations.get(key);
    if (known !== undefined) return known.id;
    const made = { ...source, id: `q${citations.size + 1}`, quote };
    citations.set(key, made);
    return made.id;
  };
  const said = sentences.map(({ text, quotes }) => ({ text, citations: [...new Set(quotes.map(cite))] }));
  const answered = said.length > 0;
  return { answered, sentences: said, citations: [...citations.values()], note: answered ? null : notAnswered, ...by };
}
