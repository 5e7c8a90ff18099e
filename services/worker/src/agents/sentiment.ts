import { SentimentIntensityAnalyzer } from 'vader-sentiment';
import { sentencesOf, withoutQuotedReply } from './plain-text.ts';
import { englishWords, readAs } from './sentiment-vocabulary.ts';
import { round } from './statistics.ts';

export type SentimentLabel = 'positive' | 'neutral' | 'negative';

/** Of one message this many code units are read: long ones say what they feel before that. */
const maxCharacters = 2_000;
const phrases = Object.keys(readAs).sort((a, b) => b.length - a.length);
const phrase = new RegExp(`(?<![\\p{L}\\p{N}])(?:${phrases.join('|')})(?![\\p{L}\\p{N}])`, 'giu');
// The lexicon's expressions take quadratic time on long unbroken runs: one message of 20 kB held a core for minutes.
const longRun = /\S{41,}/g;
const closing =
  /^[ \t]*(?:many |best |kind )?(?:thanks|thank you|cheers|regards|best|sincerely)(?: again| in advance)?[,.!]*[ \t]*$/gim;

/**
 * Sentiment of one message from -1 to 1: the mean of its sentences' compound scores, as VADER's authors do for longer
 * texts (Hutto & Gilbert 2014). Null when it cannot be judged: nothing in it but signs, or not English — the lexicon
 * reads German "die" as a death.
 */
export function sentimentOf(message: string): number | null {
  const text = withoutQuotedReply(message, maxCharacters)
    .replaceAll('’', "'")
    .replaceAll(longRun, ' ')
    .replaceAll(closing, '');
  if (!looksEnglish(text)) return null;
  const sentences = sentencesOf(text).filter((sentence) => /\p{L}/u.test(sentence));
  if (sentences.length === 0) return null;
  const scores = sentences.map((sentence) => {
    const adapted = sentence.replaceAll(phrase, (found) => readAs[found.toLowerCase()] ?? found);
    return SentimentIntensityAnalyzer.polarity_scores(adapted).compound;
  });
  return round(scores.reduce((total, score) => total + score, 0) / scores.length, 4);
}

/** Label of a score by the thresholds VADER's authors use. */
export function sentimentLabel(score: number): SentimentLabel {
  if (score >= 0.05) return 'positive';
  return score <= -0.05 ? 'negative' : 'neutral';
}

/** Short texts in Latin letters pass; longer ones need at least one everyday English word. */
function looksEnglish(text: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const latin = text.match(/\p{Script=Latin}/gu)?.length ?? 0;
  if (letters === 0 || latin * 2 < letters) return false;
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return words.length < 6 || words.some((word) => englishWords.has(word));
}
