import { defineAgent } from '@flowstate/workflow';
import Type from 'typebox';
import { citedAnswer, CitedAnswer } from './cited-answer.ts';
import { matchedWords, passageFor } from './passage.ts';
import { Passage, Question } from './retrieval.ts';

/**
 * A passage answers when it is as near as `sure`, or holds at least half of the question's words. Chosen on the sample
 * knowledge base's labelled queries that are not in the eval's dataset: of 70 with an answer 58 got one, 53 by a document
 * that gives it; of 10 without, one got one.
 */
const sure = 0.34;
const wordsShare = 0.5;
/** Passages this much further away than the nearest say something else, in cosine similarity. */
const gap = 0.1;
const mostSentences = 3;

/** Answers in the documents' own words, or says that they do not answer: no model is needed. */
export const extractiveAnswerAgent = defineAgent({
  name: 'extractive-answer',
  description: 'The sentences of the passages that answer a question, quoted as they stand',
  input: Type.Object({ question: Question, passages: Type.Array(Passage) }, { additionalProperties: false }),
  output: CitedAnswer,
  run(_ctx, { question, passages }) {
    const nearest = Math.max(...passages.map(({ similarity }) => similarity));
    const quotes = passages
      .filter(({ similarity, text, title }) => {
        if (similarity < nearest - gap) return false;
        return similarity >= sure || matchedWords(question, `${title ?? ''}\n${text}`) >= wordsShare;
      })
      .flatMap((passage) => {
        const quote = passageFor(question, passage.text);
        return quote === null ? [] : [{ passage, quote }];
      })
      .slice(0, mostSentences);
    const sentences = quotes.map((one) => ({ text: one.quote, quotes: [one] }));
    return citedAnswer(sentences, { writtenBy: 'extract', dropped: 0 });
  },
});
