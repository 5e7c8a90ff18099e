import { sentencesOf } from './plain-text.ts';

const longest = 240;
// Words that occur in every question say nothing about which sentence answers it.
const stopWords = new Set(
  'a an and any are as at be but by can could do does for from has have how i if in is it its me my no not of on or our please so that the their there they this to us was we what when where which who why will with would you your'.split(
    ' ',
  ),
);

/**
 * The sentence of `text` that shares the most words with `query` (the first of equals), at most 240 code units of it.
 * Always a part of the text as it stands, so that it can be found there again; null when the text has no words.
 */
export function passageFor(query: string, text: string): string | null {
  const asked = new Set(wordsOf(query));
  let best: { sentence: string; hits: number } | null = null;
  for (const sentence of sentencesOf(text)) {
    if (!/\p{L}/u.test(sentence)) continue;
    const hits = new Set(wordsOf(sentence).filter((word) => asked.has(word))).size;
    if (best === null || hits > best.hits) best = { sentence, hits };
  }
  return best === null ? null : cutAtWord(best.sentence);
}

/** Share of the query's words, 0 to 1, that the text holds too; 0 when the query has none but stop words. */
export function matchedWords(query: string, text: string): number {
  const asked = new Set(wordsOf(query));
  const held = new Set(wordsOf(text));
  return asked.size === 0 ? 0 : [...asked].filter((word) => held.has(word)).length / asked.size;
}

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  // A plural matches its singular: enough to tell sentences apart, no stemmer needed.
  return words.filter((word) => !stopWords.has(word)).map((word) => (word.length > 3 ? word.replace(/s$/, '') : word));
}

function cutAtWord(sentence: string): string {
  if (sentence.length <= longest) return sentence;
  const cut = sentence.slice(0, longest).toWellFormed();
  const whole = /^[\s\S]*\S(?=\s)/.exec(cut)?.[0] ?? cut;
  // Half of a surrogate pair at the end would not be part of the text any more.
  return whole.replace(/\uFFFD$/, '');
}
